// A small certificate authority, so that a first set of credentials needs no other tool (dotsctl init).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "model/ip.h"

namespace dots::adapters::pki {

struct KeyPair {
  std::string certificate_pem;
  std::string key_pem;  // secret
};

struct Subject {
  std::string common_name;
  std::vector<std::string> dns_names;
  std::vector<model::IpAddress> addresses;
  bool server = false;  // proves a server; otherwise a client
};

class Authority {
 public:
  // A new self-signed authority, ECDSA on P-256, valid from an hour before `now`.
  static base::Result<Authority> create(const std::string& common_name, base::WallTime now,
                                        std::chrono::hours validity);
  base::Result<KeyPair> issue(const Subject& subject, base::WallTime now, std::chrono::hours validity) const;
  const KeyPair& own() const;

  ~Authority();
  Authority(Authority&&) noexcept;
  Authority& operator=(Authority&&) noexcept;

 private:
  struct State;
  explicit Authority(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Fit for keys.
base::Result<base::Bytes> random_key(std::size_t bytes);

}  // namespace dots::adapters::pki
