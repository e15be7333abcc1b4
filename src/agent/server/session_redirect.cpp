#include "agent/server/session_redirect.h"

#include <utility>

#include "wire/messages.h"

namespace dots::agent::server {

void SessionRedirect::set(std::shared_ptr<const RedirectOrder> order, base::Duration grace) {
  grace_ = grace;
  const bool same = order && order_ && order->id == order_->id;
  order_ = std::move(order);
  if (!same) told_at_.reset();
}

bool SessionRedirect::concerns(const coap::Request& request) const {
  if (!active() || request.uri_path.size() < 3) return false;
  const std::string& resource = request.uri_path[2];
  if (order_->ttl_s == 0) return resource == "mitigate" && request.method == wire::Method::put;
  const bool asks = request.method == wire::Method::put || request.method == wire::Method::get;
  // A client that only keeps its session hears of it when it refreshes the configuration.
  return asks && (resource == "mitigate" || resource == "config");
}

coap::Response SessionRedirect::response() const {
  coap::Response response;
  response.code = model::ResponseCode::service_unavailable;
  response.max_age_s = order_->ttl_s;
  response.content_format = wire::kContentFormatDots;
  response.payload = wire::encode(order_->to);
  return response;
}

bool SessionRedirect::tell(base::SteadyTime now) {
  if (told_at_) return false;
  told_at_ = now;
  return true;
}

std::optional<base::SteadyTime> SessionRedirect::closes_at() const {
  if (!leaving()) return std::nullopt;
  return *told_at_ + grace_;
}

}  // namespace dots::agent::server
