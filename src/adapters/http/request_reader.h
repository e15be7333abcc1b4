// Bytes of a connection -> requests (RFC 9112), with every bound and every refusal. No socket, no clock.
#pragma once

#include <memory>
#include <string>
#include <variant>

#include "adapters/http/http_limits.h"
#include "base/bytes.h"
#include "ports/http.h"

namespace dots::adapters::http {

// What is wrong with a request, as the client is told. The connection ends after it: where the next request would begin
// is not known.
struct HttpFault {
  int status = 400;
  std::string why;  // one sentence without a full stop
};

struct ReadRequest {
  ports::HttpRequest request;
  bool keep_alive = true;
};

class RequestReader {
 public:
  explicit RequestReader(const HttpLimits& limits);
  ~RequestReader();
  RequestReader(const RequestReader&) = delete;
  RequestReader& operator=(const RequestReader&) = delete;

  struct NeedMore {
    bool wants_continue = false;  // once: the client waits for "100 Continue" (RFC 9110 10.1.1)
  };
  using Outcome = std::variant<NeedMore, ReadRequest, HttpFault>;

  void feed(base::ByteView bytes);
  // The next request of what was fed. Not to be called again after a fault.
  Outcome next();

  bool idle() const;              // nothing of a request is there
  bool in_body() const;           // its header is complete
  std::size_t body_size() const;  // of it, so far
  std::size_t held() const;       // bytes that are kept here in all

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dots::adapters::http
