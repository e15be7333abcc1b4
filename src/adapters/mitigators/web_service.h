// A web service of the operator that is asked in signed JSON (docs/mitigators.md). Private to src/adapters/mitigators.
#pragma once

#include <boost/json/object.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "ports/http.h"
#include "ports/resolver.h"

namespace dots::adapters::mitigators {

struct WebServiceOptions {
  std::string url;                          // https
  std::string ca_file;                      // trust anchors
  std::string secret_file;                  // read for each call, so that a new secret counts; empty: no signature
  std::chrono::milliseconds timeout{5000};  // of a call, its repetitions included
  std::vector<std::string> dns_servers;     // empty: those of the system
};

// Threads: one at a time.
class WebService {
 public:
  explicit WebService(WebServiceOptions options) : options_(std::move(options)) {}

  // The JSON object of an answer. An error: there was none that makes sense, and what the service did is not known.
  // `key`: the same with every repetition of one change; empty without one.
  base::Result<boost::json::object> post(const std::string& body, const std::string& key);
  // For a receiver of news: any answer of success is enough.
  base::Result<void> tell(const std::string& body, const std::string& key);

 private:
  base::Result<ports::HttpAnswer> call(const std::string& body, const std::string& key);
  ports::HttpOutcome try_once(const std::string& body, const std::string& key, std::chrono::milliseconds timeout);

  const WebServiceOptions options_;
  std::unique_ptr<ports::Resolver> resolver_;
};

// What is signed: "TIMESTAMP\nPOST\nTARGET\nBODY". The service refuses a timestamp that is minutes away from its own.
std::string signature_of(const std::string& secret, const std::string& timestamp, const std::string& target,
                         const std::string& body);

// The secret in the first line of a file that not everybody may read.
base::Result<std::string> read_secret(const std::string& file);

}  // namespace dots::adapters::mitigators
