// The deadlines of one domain, in order. Internal to this room.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "base/ids.h"
#include "base/time.h"

namespace dots::signal::server {

// A mitigation inside its domain.
struct Key {
  base::Cuid cuid;
  base::Mid mid;
  friend auto operator<=>(const Key&, const Key&) = default;
};

// What a deadline is about.
struct Alarm {
  enum class Kind : std::uint8_t {
    mitigation,
    fade,
    observer,
    hold,
    name,
    presence,
    volume,
    approval
  } kind = Kind::mitigation;
  Key key;                   // mitigation, fade, volume, approval
  std::uint64_t number = 0;  // observer, hold
  std::string name;          // name; presence: the client
};

// Equal deadlines fire in the order in which they were set: who was served last waits longest.
class Timers {
 public:
  // Held by the owner of a deadline; at most one deadline each.
  struct Handle {
    base::SteadyTime at{};
    std::uint64_t sequence = 0;  // 0: none set
    bool is_set() const { return sequence != 0; }
  };

  void set(Handle& handle, base::SteadyTime at, Alarm alarm) {
    cancel(handle);
    handle = {at, ++sequence_};
    alarms_.emplace(std::pair{at, sequence_}, std::move(alarm));
  }
  void cancel(Handle& handle) {
    if (handle.is_set()) alarms_.erase({handle.at, handle.sequence});
    handle = {};
  }
  void clear() { alarms_.clear(); }

  std::optional<base::SteadyTime> next() const {
    if (alarms_.empty()) return std::nullopt;
    return alarms_.begin()->first.first;
  }
  // The earliest alarm that is due; its owner's handle is stale from then on.
  std::optional<Alarm> pop_due(base::SteadyTime now) {
    if (alarms_.empty() || alarms_.begin()->first.first > now) return std::nullopt;
    Alarm alarm = std::move(alarms_.begin()->second);
    alarms_.erase(alarms_.begin());
    return alarm;
  }

 private:
  std::map<std::pair<base::SteadyTime, std::uint64_t>, Alarm> alarms_;
  std::uint64_t sequence_ = 0;
};

}  // namespace dots::signal::server
