#include "signal/heartbeat/heartbeat.h"

#include <algorithm>

namespace dots::signal {

namespace {

HeartbeatConfig bounded(HeartbeatConfig config) {
  if (config.interval <= base::Duration::zero()) {
    config.interval = base::Duration::zero();
  } else {
    config.interval = std::max(config.interval, kMinHeartbeatInterval);
  }
  config.missing_hb_allowed = std::max(config.missing_hb_allowed, 1);
  return config;
}

bool is_off(const HeartbeatConfig& config) { return config.interval == base::Duration::zero(); }

}  // namespace

HeartbeatConfig heartbeat_config(const model::ParameterSet& parameters) {
  return {model::duration_of(parameters, model::Parameter::heartbeat_interval),
          static_cast<int>(parameters.at(model::Parameter::missing_hb_allowed))};
}

Heartbeat::Heartbeat(Side side, const HeartbeatConfig& config, base::SteadyTime opened)
    : side_(side),
      config_(bounded(config)),
      opened_(opened),
      last_traffic_(opened),
      last_peer_heartbeat_(opened),
      next_send_(opened + config_.interval) {}

HeartbeatEffects Heartbeat::on_traffic(base::SteadyTime now) {
  HeartbeatEffects effects;
  last_traffic_ = std::max(last_traffic_, now);
  missed_ = 0;
  awaiting_answer_ = false;
  effects.recovered = lost_ || quiet_;
  lost_ = false;
  quiet_ = false;
  return effects;
}

HeartbeatEffects Heartbeat::on_peer_heartbeat(bool peer_hb_status, base::SteadyTime now) {
  HeartbeatEffects effects = on_traffic(now);
  last_peer_heartbeat_ = now;
  if (is_off(config_)) return effects;
  // Once following the client's rhythm was needed it stays: going back would only make the client say false again.
  if (!peer_hb_status && side_ == Side::server) follow_peer_ = true;
  const bool wanted = follow_peer_ || !peer_hb_status;
  const bool spaced = !last_sent_ || now - *last_sent_ >= kMinHeartbeatInterval;
  if (wanted && spaced) send(now, effects);
  return effects;
}

HeartbeatEffects Heartbeat::on_answer(base::SteadyTime now) { return on_traffic(now); }

HeartbeatEffects Heartbeat::on_no_answer(base::SteadyTime) {
  HeartbeatEffects effects;
  count_unanswered(effects);
  return effects;
}

HeartbeatEffects Heartbeat::on_timer(base::SteadyTime now) {
  HeartbeatEffects effects;
  if (is_off(config_)) return effects;
  if (side_ == Side::server && !quiet_ && now >= last_traffic_ + silence_allowed() / 2) {
    quiet_ = true;
    effects.quiet = true;
  }
  if (side_ == Side::server && !lost_ && now >= last_traffic_ + silence_allowed()) {
    lost_ = true;
    effects.lost = true;
  }
  if (now >= next_send_) {
    count_unanswered(effects);
    send(now, effects);
  }
  return effects;
}

std::optional<base::SteadyTime> Heartbeat::next_deadline() const {
  if (is_off(config_)) return std::nullopt;
  if (side_ == Side::server && !lost_) {
    return std::min(next_send_, last_traffic_ + silence_allowed() / (quiet_ ? 1 : 2));
  }
  return next_send_;
}

void Heartbeat::reconfigure(const HeartbeatConfig& config, base::SteadyTime now) {
  const HeartbeatConfig wanted = bounded(config);
  if (wanted.interval == config_.interval && wanted.missing_hb_allowed == config_.missing_hb_allowed) return;
  // The peer changes over at its own time: what it did by the old rhythm must not be judged by a faster one.
  if (wanted.interval != config_.interval) last_peer_heartbeat_ = now;
  const base::Duration allowed_before = silence_allowed();
  config_ = wanted;
  if (!lost_ && silence_allowed() < allowed_before) last_traffic_ = now;
  if (is_off(config_)) {
    awaiting_answer_ = false;
    missed_ = 0;
    return;
  }
  next_send_ = std::max(now, last_sent_.value_or(opened_) + config_.interval);
}

bool Heartbeat::peer_hb_status(base::SteadyTime now) const {
  return is_off(config_) || now - last_peer_heartbeat_ <= 2 * config_.interval;
}

int Heartbeat::missed() const { return missed_; }

bool Heartbeat::is_lost() const { return lost_; }

bool Heartbeat::is_quiet() const { return quiet_; }

void Heartbeat::count_unanswered(HeartbeatEffects& effects) {
  if (!awaiting_answer_) return;
  awaiting_answer_ = false;
  ++missed_;
  // A server goes by silence alone: a client whose requests arrive is not disconnected, however many heartbeats it
  // leaves unanswered (RFC 9132 4.7).
  if (side_ == Side::client && !lost_ && missed_ >= config_.missing_hb_allowed) {
    lost_ = true;
    effects.lost = true;
  }
}

void Heartbeat::send(base::SteadyTime now, HeartbeatEffects& effects) {
  effects.send_peer_hb_status = peer_hb_status(now);
  awaiting_answer_ = true;
  last_sent_ = now;
  // While following, our own timer only fills in for a heartbeat of the peer that did not come.
  next_send_ = now + config_.interval + (follow_peer_ ? config_.interval / 2 : base::Duration::zero());
}

}  // namespace dots::signal
