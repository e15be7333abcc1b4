// Virtual time: events in order, and machines that want to be woken. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <queue>
#include <vector>

#include "base/time.h"

namespace dots::world {

class Timeline {
 public:
  // A machine with a deadline of its own; registered while it lives.
  class Machine {
   public:
    explicit Machine(Timeline& timeline) : timeline_(timeline) { timeline_.machines_.push_back(this); }
    virtual ~Machine() { std::erase(timeline_.machines_, this); }
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;

    virtual void on_deadline() = 0;
    std::optional<base::SteadyTime> deadline() const { return deadline_; }

   protected:
    void wake_at(std::optional<base::SteadyTime> at) { deadline_ = at; }

   private:
    Timeline& timeline_;
    std::optional<base::SteadyTime> deadline_;
  };

  base::SteadyTime now() const { return now_; }
  std::uint64_t events() const { return events_; }

  void after(base::Duration time, std::function<void()> what) {
    queue_.push({now_ + std::max(base::Duration::zero(), time), ++sequence_, std::move(what)});
  }

  // Runs everything that is due until `end`, then time is `end`. False when more than `most` events come before it:
  // time stands still somewhere.
  bool run_until(base::SteadyTime end, std::uint64_t most = 1'000'000) {
    for (std::uint64_t steps = 0;; ++steps) {
      if (steps > most) return false;
      Machine* next = nullptr;
      for (Machine* machine : machines_) {
        if (machine->deadline() && (next == nullptr || *machine->deadline() < *next->deadline())) next = machine;
      }
      if (!queue_.empty() && (next == nullptr || queue_.top().at <= *next->deadline())) {
        if (queue_.top().at > end) break;
        now_ = std::max(now_, queue_.top().at);
        auto what = std::move(const_cast<Event&>(queue_.top()).what);  // it is popped next
        queue_.pop();
        ++events_;
        what();
      } else if (next != nullptr && *next->deadline() <= end) {
        now_ = std::max(now_, *next->deadline());
        ++events_;
        next->on_deadline();
      } else {
        break;
      }
    }
    now_ = std::max(now_, end);
    return true;
  }
  bool run_for(base::Duration time, std::uint64_t most = 1'000'000) { return run_until(now_ + time, most); }

 private:
  struct Event {
    base::SteadyTime at;
    std::uint64_t sequence = 0;
    std::function<void()> what;
    bool operator<(const Event& other) const {  // the earliest is on top
      return at != other.at ? at > other.at : sequence > other.sequence;
    }
  };
  base::SteadyTime now_{std::chrono::hours{100}};
  std::uint64_t sequence_ = 0;
  std::uint64_t events_ = 0;
  std::priority_queue<Event> queue_;
  std::vector<Machine*> machines_;
};

// The wall clock of one machine: it may step.
struct WallClock {
  base::Duration offset{};
  base::Now at(base::SteadyTime steady) const {
    return {steady, base::WallTime{std::chrono::seconds{1'700'000'000} + steady.time_since_epoch() + offset}};
  }
};

}  // namespace dots::world
