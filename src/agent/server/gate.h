// Durable before visible (ARCHITECTURE idea 3): holds back what a step wants to show until its changes are committed.
//
// One batch is out at a time; what comes meanwhile gathers into the next one, which is how commits group by themselves.
// Everything visible waits in order behind the batch that it depends on; with nothing to wait for it passes at once.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "mitigation/filters.h"
#include "ports/http.h"
#include "ports/store.h"
#include "signal/server/events.h"

namespace dots::agent::server {

struct OperatorLine {
  std::string_view id;  // of ops/facts/messages.inc
  std::string details;
};

// What became of a request on the data channel, or of a tick of its machine (ticket 0).
struct DataAnswer {
  std::uint64_t ticket = 0;
  ports::HttpAnswer answer;
  std::vector<OperatorLine> lines;
};

// The effects of the signal channel's machine, and those that come with the data channel.
template <class Effects>
struct WithDataAnswer;
template <class... Effect>
struct WithDataAnswer<std::variant<Effect...>> {
  using type = std::variant<Effect..., DataAnswer, mitigation::DomainFilters>;
};

// An effect of a domain's step that others may see.
struct Visible {
  base::DomainId domain;
  WithDataAnswer<signal::server::Effect>::type effect;
};

// A withdrawal that waits for its commit. It can be done again by itself when the batch around it was refused: a full
// disk still takes withdrawals, but not together with new requests.
struct Release {
  base::DomainId domain;
  signal::server::Event event;
  int tries = 0;
};

class Gate {
 public:
  // Takes the effects of one step, Persist among them, in order; `release` when the step was a withdrawal.
  void add(const base::DomainId& domain, std::vector<signal::server::Effect> effects,
           std::optional<Release> release = std::nullopt);
  void add(const base::DomainId& domain, std::vector<ports::Change> changes, DataAnswer answer);
  void add(mitigation::DomainFilters filters);
  // At the end of a round: the next batch of changes, when one is due and none is out.
  std::optional<std::vector<ports::Change>> next_batch();
  // Visible effects that wait for nothing; call after add, next_batch and settled.
  std::vector<Visible> released();

  struct Settled {
    std::vector<Visible> failed;         // to be answered 5.03; nothing of them was or will be durable
    std::set<base::DomainId> to_reload;  // domains whose memory is ahead of the store
    std::vector<Release> releases;       // withdrawals among what failed
    bool was_release = false;            // the refused batch held nothing but withdrawals
  };
  // The store's word on the batch that is out. When it did not commit, everything gathered since then was built on it
  // and fails as well.
  Settled settled(bool committed);

  bool busy() const { return out_; }
  std::size_t held() const { return held_.size() + gathered_.visible.size(); }

 private:
  struct Gathering {
    std::vector<ports::Change> changes;
    std::vector<Visible> visible;
    std::set<base::DomainId> domains;
    std::vector<Release> releases;
  };
  Gathering gathered_;         // since the last batch went out
  std::vector<Visible> held_;  // wait for the batch that is out
  std::set<base::DomainId> held_domains_;
  std::vector<Release> held_releases_;
  bool out_is_release_ = false;
  std::vector<Visible> ready_;
  bool out_ = false;
};

}  // namespace dots::agent::server
