#include "tests/world/client_node.h"

#include <utility>

namespace dots::world {

using agent::client::ClientEffects;

ClientNode::ClientNode(Timeline& timeline, ClientParts parts, ClientHooks hooks)
    : Machine(timeline),
      timeline_(timeline),
      parts_(std::move(parts)),
      hooks_(std::move(hooks)),
      connector_(parts_.credential, parts_.seed * 1000003 + 1) {
  connector_.two_part_flights = parts_.two_part_flights;
  commits_ = std::make_unique<CommitThread>(timeline_, parts_.disk, parts_.seed, hooks_.commit);
  agent_ = std::make_unique<agent::client::ClientAgent>(parts_.settings, connector_, parts_.seed);
}

template <class Event>
void ClientNode::with(Event&& event) {
  ClientEffects out;
  event(out);
  finish(std::move(out));
}

void ClientNode::start() {
  const auto snapshot = commits_->store().load();
  with([&](ClientEffects& out) { agent_->start(*snapshot, now(), out); });
}

void ClientNode::on_datagram(base::SessionId session, base::ByteView datagram) {
  with([&](ClientEffects& out) { agent_->on_datagram(session, datagram, now(), out); });
}

void ClientNode::resolved(const ports::Resolution& resolution) {
  with([&](ClientEffects& out) { agent_->on_resolved(resolution, now(), out); });
}

void ClientNode::on_deadline() {
  with([&](ClientEffects& out) { agent_->on_timer(now(), out); });
}

void ClientNode::crash(bool running_commit_comes_through) {
  *alive_ = false;
  commits_->crash(running_commit_comes_through);
  wake_at(std::nullopt);
}

void ClientNode::stop() {
  with([&](ClientEffects& out) { agent_->stop(now(), out); });
}

void ClientNode::finish(ClientEffects effects) {
  for (const auto& open : effects.open) hooks_.open(open.session, open.way.server);
  for (const auto& send : effects.send) hooks_.send(send.session, send.datagram);
  for (const auto& session : effects.close) hooks_.close(session);
  for (const auto& name : effects.resolve) hooks_.resolve(name);
  for (const auto& message : effects.messages) hooks_.message(message);
  if (effects.commit) {
    commits_->submit(now().wall, std::move(*effects.commit), [this](const ports::CommitResult& result) {
      with([&](ClientEffects& out) { agent_->on_committed(result, now(), out); });
    });
  }
  if (effects.reload) {
    commits_->load(std::nullopt, [this](const base::Result<ports::Snapshot>& snapshot) {
      with([&](ClientEffects& out) { agent_->on_reloaded(snapshot, now(), out); });
    });
  }
  for (const auto& query : effects.audit) {
    with([&](ClientEffects& out) { agent_->on_audit(query.ticket, commits_->store().audit(query.wanted), out); });
  }
  for (auto& done : effects.done) {
    const auto it = calls_.find(done.ticket);
    if (it == calls_.end()) continue;
    Done tell = std::move(it->second);
    calls_.erase(it);
    tell(std::move(done.answer));
  }
  wake_at(*alive_ ? agent_->next_deadline(now()) : std::nullopt);
}

void ClientNode::call(const std::string& operation, boost::json::object arguments, Done done) {
  agent::Call wish;
  wish.operation = operation;
  wish.arguments = std::move(arguments);
  wish.caller = {"operator", 1000, true};
  const agent::client::CallTicket ticket{++last_ticket_};
  calls_.emplace(ticket, std::move(done));
  with([&](ClientEffects& out) { agent_->handle(ticket, wish, now(), out); });
}

boost::json::value ClientNode::ask(const std::string& operation, boost::json::object arguments) {
  auto body = std::make_shared<boost::json::value>();
  call(operation, std::move(arguments), [body](agent::CallAnswer answer) { *body = std::move(answer.body); });
  return std::move(*body);
}

}  // namespace dots::world
