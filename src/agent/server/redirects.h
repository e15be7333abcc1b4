// Where a server sends its clients (RFC 9132 4.6): the orders of operators and the reasons of its own, as values.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "model/redirect.h"
#include "policy/domain_policy.h"
#include "policy/identities.h"

namespace dots::agent::server {

enum class RedirectReason : std::uint8_t { by_operator, session_limit, mitigators_down };
inline constexpr std::size_t kRedirectReasons = 3;
std::string_view name_of(RedirectReason reason);

struct RedirectOrder {
  std::uint64_t id = 0;                  // names it while it lives
  std::optional<base::DomainId> domain;  // absent: every client
  std::optional<base::ClientId> client;  // absent: every client of the domain
  model::RedirectedSignal to;
  std::uint32_t ttl_s = 3600;  // Max-Age; 0: each mitigation request by itself
  bool force = false;          // clients with a running mitigation as well (RFC 8612 SIG-005)
  RedirectReason reason = RedirectReason::by_operator;
  std::string author;
  std::string note;
  base::WallTime at{};
  friend bool operator==(const RedirectOrder&, const RedirectOrder&) = default;

  bool same_scope(const RedirectOrder& other) const { return domain == other.domain && client == other.client; }
};

// Immutable; shared by the shards.
struct Redirects {
  std::vector<std::shared_ptr<const RedirectOrder>> orders;
  // New sessions from this share of the limit on are sent away; nobody when `when_crowded` is absent.
  std::shared_ptr<const RedirectOrder> when_crowded;
  std::uint32_t crowded_percent = 100;
  // A session whose client was told is closed after this time.
  base::Duration grace = std::chrono::seconds{10};

  // The narrowest order that names the client.
  std::shared_ptr<const RedirectOrder> find(const policy::KnownClient& client) const;
  bool has(std::uint64_t order) const;
};

// What is kept over a restart: the orders of operators.
std::string to_text(const std::vector<RedirectOrder>& orders);
base::Result<std::vector<RedirectOrder>> orders_from_text(const std::string& text);

// How far a redirected client is, from one of its sessions or from the last that it had.
struct RedirectedClient {
  enum class State : std::uint8_t {
    told,        // and its session is still open
    untold,      // it has asked nothing so far
    mitigating,  // waits for the end of its mitigations
    left,        // it was told, and its session is closed
    absent,      // no session since the order
  } state = State::absent;
  policy::KnownClient client;
  std::uint64_t order = 0;
  base::Duration age{};  // in this state
};
std::string_view name_of(RedirectedClient::State state);

// Every order with the clients in its scope; of several sessions of a client the one that holds it back counts.
boost::json::object render_redirects(const Redirects& redirects, const std::vector<RedirectedClient>& clients,
                                     const std::vector<policy::DomainPolicy>& domains);

}  // namespace dots::agent::server
