// One session that is sent to another server (RFC 9132 4.6): whether its requests are redirected now, and when it
// closes. Pure.
//
// A client with a running mitigation is left alone until that has ended, unless the operator forces it (RFC 8612
// SIG-005). Once told, a session hears nothing more of its own accord from us and is closed after the grace time (RFC
// 8811 3.2.2); DELETE and heartbeats are answered until then. With Max-Age 0 each mitigation request is redirected by
// itself and the session stays.
#pragma once

#include <memory>
#include <optional>

#include "agent/server/redirects.h"
#include "base/time.h"
#include "coap/endpoint.h"

namespace dots::agent::server {

class SessionRedirect {
 public:
  // Null: no longer. Another order starts anew.
  void set(std::shared_ptr<const RedirectOrder> order, base::Duration grace);
  void on_mitigating(bool mitigating) { mitigating_ = mitigating; }

  const std::shared_ptr<const RedirectOrder>& order() const { return order_; }
  // Requests are redirected now.
  bool active() const { return order_ && (order_->force || mitigating_ == false); }
  bool concerns(const coap::Request& request) const;
  // Observers are told as well.
  bool ends_observations() const { return active() && order_->ttl_s != 0; }
  coap::Response response() const;
  // The client has been told; true the first time.
  bool tell(base::SteadyTime now);
  // It was told and has to go.
  bool leaving() const { return told_at_ && order_ && order_->ttl_s != 0; }
  const std::optional<base::SteadyTime>& told_at() const { return told_at_; }
  std::optional<base::SteadyTime> closes_at() const;

 private:
  std::shared_ptr<const RedirectOrder> order_;
  base::Duration grace_{};
  std::optional<bool> mitigating_;  // absent: not known yet, so nothing is done
  std::optional<base::SteadyTime> told_at_;
};

}  // namespace dots::agent::server
