// Durable before visible, for the client role (ARCHITECTURE idea 3): what a step wants to show waits for its changes.
//
// One batch is out at a time; what comes meanwhile gathers into the next one. What waits for nothing passes at once.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "ports/store.h"

namespace dots::agent::client {

template <class Visible>
class Gate {
 public:
  void add(ports::Change change) { changes_.push_back(std::move(change)); }
  // Depends on every change added before.
  void add(Visible visible) { gathered_.push_back(std::move(visible)); }

  // The next batch of changes, when there is one and none is out.
  std::optional<std::vector<ports::Change>> next_batch() {
    if (out_ || changes_.empty()) return std::nullopt;
    out_ = true;
    held_ = std::exchange(gathered_, {});
    return std::exchange(changes_, {});
  }
  // What waits for nothing.
  std::vector<Visible> released() {
    if (out_ || !changes_.empty()) return {};
    return std::exchange(gathered_, {});
  }
  // The batch that is out is durable: what waited for it.
  std::vector<Visible> committed() {
    out_ = false;
    return std::exchange(held_, {});
  }
  // It is not, and what was gathered since then was built on it. The gate stays shut until reopen().
  std::vector<Visible> refused() {
    std::vector<Visible> lost = std::exchange(held_, {});
    for (Visible& visible : gathered_) lost.push_back(std::move(visible));
    gathered_.clear();
    changes_.clear();
    return lost;
  }
  // The memory agrees with the store again; what was gathered while the gate was shut is void.
  std::vector<Visible> reopen() {
    out_ = false;
    changes_.clear();
    return std::exchange(gathered_, {});
  }

 private:
  std::vector<ports::Change> changes_;
  std::vector<Visible> gathered_;
  std::vector<Visible> held_;
  bool out_ = false;
};

}  // namespace dots::agent::client
