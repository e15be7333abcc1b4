#include "apps/runtime/operator_tickets.h"

#include <boost/json/object.hpp>
#include <utility>

#include "agent/operators/answers.h"

namespace dots::runtime {

namespace {

constexpr std::size_t kMostTickets = 256;

}  // namespace

std::optional<std::uint64_t> OperatorTickets::take(Done& done, std::optional<base::Mid> mid) {
  const std::lock_guard lock(mutex_);
  if (tickets_.size() >= kMostTickets) return std::nullopt;
  const std::uint64_t ticket = next_++;
  tickets_[ticket] = {std::move(done), mid};
  return ticket;
}

void OperatorTickets::answer(const signal::server::OperatorAnswer& answer) {
  Ticket ticket;
  {
    const std::lock_guard lock(mutex_);
    const auto it = tickets_.find(answer.ticket);
    if (it == tickets_.end()) return;
    ticket = std::move(it->second);
    tickets_.erase(it);
  }
  if (!answer.ok) return ticket.done(agent::call_failed(agent::CallAnswer::Outcome::conflict, answer.text));
  boost::json::object body{{"text", answer.text}};
  if (ticket.mid) body["mid"] = ticket.mid->value;
  ticket.done(agent::call_ok(std::move(body)));
}

}  // namespace dots::runtime
