#include "tests/plays/peer.h"

#include <utility>

#include "tests/plays/messages.h"

namespace dots::plays {

namespace {

std::string manner_of(base::ByteView plaintext) {
  const auto message = wire::parse(plaintext);
  if (!message) return {};
  switch (message->type) {
    case wire::MessageType::confirmable:
      return "confirmable";
    case wire::MessageType::non_confirmable:
      return "non-confirmable";
    default:
      return "piggybacked";
  }
}

}  // namespace

void Peer::put(ports::ChannelEvents& events) {
  for (auto& datagram : events.datagrams) out_(std::move(datagram));
  events.datagrams.clear();
}

void Peer::start() {
  ports::ChannelEvents events;
  channel_->start(events);
  put(events);
}

void Peer::on_datagram(const base::Bytes& datagram) {
  ports::ChannelEvents events;
  channel_->on_datagram(datagram, events);
  put(events);
  if (events.opened) {
    endpoint_.emplace(coap::EndpointLimits{}, seed_);
    inbox_.connected = timeline_.now();
  }
  if (events.closed && endpoint_) inbox_.left = true;
  for (const auto& plaintext : events.plaintexts) {
    coap::Effects effects;
    endpoint_->on_datagram(plaintext, timeline_.now(), effects);
    absorb(effects, manner_of(plaintext));
  }
}

void Peer::absorb(coap::Effects& effects, const std::string& manner) {
  for (auto& incoming : std::exchange(effects.requests, {})) {
    Inbox::Asked asked{timeline_.now(), this, incoming.exchange, std::move(incoming.token),
                       std::move(incoming.request)};
    if (path_text(asked.request) != "hb") {
      inbox_.requests.push_back(std::move(asked));
      continue;
    }
    coap::Response response;
    response.code = model::ResponseCode::changed;
    endpoint_->respond(asked.exchange, response, false, timeline_.now(), effects);
    inbox_.heartbeats.push_back(std::move(asked));
  }
  for (auto& incoming : effects.responses) {
    inbox_.answers.push_back({incoming.notification, manner, asked_[incoming.request], std::move(incoming.response)});
  }
  for (const auto& plaintext : effects.send) {
    ports::ChannelEvents events;
    (void)channel_->send(plaintext, events);
    put(events);
  }
}

bool Peer::send(const coap::Request& request) {
  if (!open()) return false;
  coap::Effects effects;
  const auto id = endpoint_->send(request, {}, timeline_.now(), effects);
  if (!id) return false;
  asked_[*id] = path_text(request);
  if (request.observe) observation_ = id;
  absorb(effects, {});
  return true;
}

bool Peer::end_observation() {
  if (!observation_ || !open()) return false;
  coap::Effects effects;
  endpoint_->stop_observing(*observation_, timeline_.now(), effects);
  observation_.reset();
  absorb(effects, {});
  return true;
}

void Peer::respond(const Inbox::Asked& asked, const coap::Response& response) {
  coap::Effects effects;
  const bool observe = asked.request.observe == 0u && model::is_success(response.code);
  if (observe) observers_[path_text(asked.request)] = asked.token;
  endpoint_->respond(asked.exchange, response, observe, timeline_.now(), effects);
  absorb(effects, {});
}

void Peer::ignore(const Inbox::Asked& asked) {
  coap::Effects effects;
  endpoint_->ignore(asked.exchange, timeline_.now(), effects);
  absorb(effects, {});
}

bool Peer::notify(const std::string& path, const coap::Response& response) {
  const auto observer = observers_.find(path);
  if (observer == observers_.end() || !open()) return false;
  coap::Effects effects;
  const bool told = endpoint_->notify(observer->second, response, timeline_.now(), effects);
  absorb(effects, {});
  return told;
}

void Peer::close() {
  ports::ChannelEvents events;
  channel_->close(events);
  put(events);
}

}  // namespace dots::plays
