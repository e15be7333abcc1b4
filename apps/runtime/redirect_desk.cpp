#include "apps/runtime/redirect_desk.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "adapters/store/state_dir.h"
#include "agent/operators/answers.h"
#include "policy/redirect_rules.h"

namespace dots::runtime {

using agent::call_failed;
using agent::CallAnswer;
using agent::server::RedirectOrder;
using agent::server::RedirectReason;
using agent::server::Redirects;

namespace {

constexpr const char* kFile = "redirects";
constexpr std::size_t kMostOrders = 1000;
constexpr std::size_t kMostNote = 1024;

std::string scope_text(const RedirectOrder& order) {
  if (order.client) return "client " + order.client->value + " of domain " + order.domain->value;
  if (order.domain) return "domain " + order.domain->value;
  return "all clients";
}

base::Error refused(std::string text) { return base::Error{std::move(text)}; }

struct Wish {
  RedirectOrder order;
  bool to_given = false;
  bool off = false;
};

base::Result<Wish> read_wish(const boost::json::object& arguments, const ops::RedirectConfig& config) {
  Wish wish;
  wish.order.ttl_s = config.ttl_s;
  for (const auto& [key, value] : arguments) {
    const std::string name{key};
    if (name == "force" || name == "off") {
      if (!value.is_bool()) return refused(name + " is true or false");
      (name == "off" ? wish.off : wish.order.force) = value.as_bool();
    } else if (name == "ttl_s") {
      boost::system::error_code error;
      wish.order.ttl_s = value.is_number() ? value.to_number<std::uint32_t>(error) : 0;
      if (!value.is_number() || error) return refused("ttl_s is a number from 0 to 4294967295");
    } else if (name == "record") {
      if (!value.is_array()) return refused("record is a list of addresses");
      for (const auto& item : value.as_array()) {
        const auto address = item.is_string() ? model::parse_ip_address(std::string{item.as_string()})
                                              : base::Result<model::IpAddress>(refused("it is no text"));
        if (!address) return refused("record: " + address.error().message);
        wish.order.to.alt_server_record.push_back(*address);
      }
    } else if (!value.is_string()) {
      return refused(name + " is unknown, or no text");
    } else if (name == "to") {
      wish.order.to.alt_server = policy::canonical_name(std::string{value.as_string()});
      wish.to_given = true;
    } else if (name == "domain") {
      wish.order.domain = base::DomainId{std::string{value.as_string()}};
    } else if (name == "client") {
      wish.order.client = base::ClientId{std::string{value.as_string()}};
    } else if (name == "note") {
      wish.order.note = std::string{value.as_string()}.substr(0, kMostNote);
    } else {
      return refused(name + " is unknown here");
    }
  }
  if (wish.order.client && !wish.order.domain) return refused("a client is named together with its domain");
  if (!wish.to_given && !wish.off) {
    wish.order.to = {config.alt_server, wish.order.to.alt_server_record.empty() ? config.alt_server_records
                                                                                : wish.order.to.alt_server_record};
  }
  return wish;
}

}  // namespace

RedirectDesk::RedirectDesk(const ops::RedirectConfig& config, std::string state_dir)
    : config_(config), state_dir_(std::move(state_dir)) {
  make_crowded();
}

void RedirectDesk::make_crowded() {
  crowded_.reset();
  if (config_.when_sessions_percent == 0 || config_.alt_server.empty()) return;
  RedirectOrder order;
  order.id = ++last_id_;
  order.to = {config_.alt_server, config_.alt_server_records};
  order.ttl_s = config_.ttl_s;
  order.reason = RedirectReason::session_limit;
  order.author = "configuration";
  crowded_ = std::make_shared<const RedirectOrder>(std::move(order));
}

base::Result<void> RedirectDesk::load() {
  const std::lock_guard lock(mutex_);
  if (state_dir_.empty()) return {};
  const std::string path = state_dir_ + "/" + kFile;
  std::error_code error;
  if (!std::filesystem::exists(path, error) && !error) return {};
  std::ifstream in{path, std::ios::binary};
  const std::string text{std::istreambuf_iterator<char>{in}, {}};
  auto orders = agent::server::orders_from_text(text);
  if (!orders) return base::Error{orders.error().message + ": " + path};
  for (RedirectOrder& order : *orders) {
    order.id = ++last_id_;
    orders_.push_back(std::make_shared<const RedirectOrder>(std::move(order)));
  }
  return {};
}

base::Result<RedirectDesk::Plan, CallAnswer> RedirectDesk::plan(const boost::json::object& arguments,
                                                                const agent::Caller& caller,
                                                                const std::vector<policy::DomainPolicy>& domains,
                                                                base::WallTime now) {
  using Outcome = CallAnswer::Outcome;
  const std::lock_guard lock(mutex_);
  auto wish = read_wish(arguments, config_);
  if (!wish) return call_failed(Outcome::bad_request, wish.error().message);
  RedirectOrder& order = wish->order;
  Plan plan{orders_, {}};
  if (wish->off) {
    const bool one = order.domain.has_value();
    const std::size_t before = plan.orders.size();
    std::erase_if(plan.orders, [&](const auto& stands) { return !one || stands->same_scope(order); });
    if (plan.orders.size() == before) {
      return call_failed(Outcome::not_found, "no redirection of " + scope_text(order) + " stands",
                         "dotsctl redirect shows those that do");
    }
    plan.line = one ? scope_text(order) + ": served here again" : "no client is redirected any more";
  } else {
    if (order.domain) {
      const auto domain =
          std::find_if(domains.begin(), domains.end(), [&](const auto& d) { return d.id == *order.domain; });
      if (domain == domains.end()) return call_failed(Outcome::not_found, "no domain '" + order.domain->value + "'");
      const auto& clients = domain->clients;
      if (order.client &&
          std::none_of(clients.begin(), clients.end(), [&](const auto& c) { return c.id == *order.client; }))
        return call_failed(Outcome::not_found,
                           "domain '" + order.domain->value + "' has no client '" + order.client->value + "'");
    }
    if (order.to.alt_server.empty()) {
      return call_failed(Outcome::bad_request, "no server to redirect to is named",
                         "use --to, or set redirect.alt_server");
    }
    const auto allowed = policy::may_redirect_to({config_.own_domains, config_.any_domain}, order.to);
    if (!allowed) {
      return call_failed(Outcome::bad_request, allowed.error().message,
                         "add its domain to redirect.own_domains, or set redirect.any_domain, and reload");
    }
    std::erase_if(plan.orders, [&](const auto& stands) { return stands->same_scope(order); });
    if (plan.orders.size() >= kMostOrders) {
      return call_failed(Outcome::conflict, "too many redirections stand", "take some back with --off");
    }
    order.id = ++last_id_;
    order.author = caller.name;
    order.at = now;
    plan.line = scope_text(order) + " to " + order.to.alt_server +
                (order.ttl_s == model::kRedirectForever ? " until it redirects them"
                                                        : " for " + std::to_string(order.ttl_s) + " s") +
                (order.force ? ", running mitigations or not" : "") + (order.note.empty() ? "" : ": " + order.note);
    plan.orders.push_back(std::make_shared<const RedirectOrder>(std::move(order)));
  }
  return plan;
}

base::Result<void> RedirectDesk::store(const Plan& plan) const {
  if (state_dir_.empty()) return {};
  std::vector<RedirectOrder> orders;
  for (const auto& order : plan.orders) orders.push_back(*order);
  return adapters::store::write_durably(state_dir_, kFile, agent::server::to_text(orders));
}

RedirectDesk::Value RedirectDesk::adopt(Plan plan) {
  const std::lock_guard lock(mutex_);
  orders_ = std::move(plan.orders);
  return build();
}

RedirectDesk::Value RedirectDesk::set_config(const ops::RedirectConfig& config) {
  const std::lock_guard lock(mutex_);
  if (!(config == config_)) {
    config_ = config;
    make_crowded();
    if (!config_.when_mitigators_down) mitigators_down_.reset();
  }
  return build();
}

std::optional<RedirectDesk::Value> RedirectDesk::set_mitigators_down(bool down, base::WallTime now) {
  const std::lock_guard lock(mutex_);
  const bool wanted = down && config_.when_mitigators_down && !config_.alt_server.empty();
  if (wanted == (mitigators_down_ != nullptr)) return std::nullopt;
  mitigators_down_.reset();
  if (wanted) {
    RedirectOrder order;
    order.id = ++last_id_;
    order.to = {config_.alt_server, config_.alt_server_records};
    order.ttl_s = config_.ttl_s;
    order.reason = RedirectReason::mitigators_down;
    order.author = "configuration";
    order.at = now;
    mitigators_down_ = std::make_shared<const RedirectOrder>(std::move(order));
  }
  return build();
}

RedirectDesk::Value RedirectDesk::current() const {
  const std::lock_guard lock(mutex_);
  return build();
}

RedirectDesk::Value RedirectDesk::build() const {
  auto value = std::make_shared<Redirects>();
  value->orders = orders_;  // of one scope the first counts: an operator's word
  if (mitigators_down_) value->orders.push_back(mitigators_down_);
  value->when_crowded = crowded_;
  value->crowded_percent = config_.when_sessions_percent;
  value->grace = std::chrono::seconds{config_.grace_s};
  return value;
}

}  // namespace dots::runtime
