// A back end at work: one thread that keeps what is installed as it is wanted, one that reads counters beside it.
//
// Everything that can hang lives on these threads; a slow or dead back end delays no signal.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "mitigation/filters.h"
#include "mitigation/reconcile.h"
#include "ops/facts/messages.h"
#include "ports/mitigator.h"

namespace dots::ops {
struct MitigatorConfig;
}
namespace dots::agent::server {
struct BackEndView;
struct PlannedBackEnd;
struct BackEndLoad;
}  // namespace dots::agent::server

namespace dots::runtime {

struct RunnerCallbacks {  // on a thread of the runner
  std::function<void(const std::vector<mitigation::OwnerReport>&)> reported;
  std::function<void(const std::vector<mitigation::OwnerCounters>&)> counted;
  // The back end has been away for longer than RunnerOptions::patience, or is back.
  std::function<void(bool able, const std::string& reason)> able;
  std::function<void(std::vector<mitigation::FilterCounts>)> filters_counted = {};
  // What planned() says has changed.
  std::function<void()> means = {};
};

struct RunnerOptions {
  std::string name;   // of the back end, for people
  bool hold = false;  // emergency: keeps what is wanted, installs and removes nothing, says so to owners
  bool remove_on_stop = false;
  bool asks = false;            // a person: see agent::server::PlannedBackEnd
  bool dry_run = false;         // for people: `mitigator` only remembers
  std::uint32_t max_rules = 0;  // never more are installed; 0: no limit
  std::uint64_t max_bits_per_s = 0;
  std::uint8_t min_prefix_length_v4 = 0, min_prefix_length_v6 = 0;
  std::size_t batch = 512;          // changes in one transaction
  std::size_t filter_batch = 1024;  // entries of lists in one transaction; a longer list has one of its own
  base::Duration counters_every = std::chrono::seconds{1};
  base::Duration retry_after = std::chrono::seconds{10};     // a refused rule
  base::Duration back_off = std::chrono::milliseconds{100};  // an unavailable back end: doubled up to ...
  base::Duration back_off_most = std::chrono::seconds{10};
  // So long an unavailable back end is taken to come back in a moment.
  base::Duration patience = std::chrono::seconds{5};
  // Rules that were there at the start and that nobody wants stay so long: their owners may still be on their way from
  // the store.
  base::Duration grace = std::chrono::seconds{3};
  base::Duration finish = std::chrono::seconds{10};  // for what is still to be done at a stop
};

class MitigatorRunner {
 public:
  // `reader` lists beside `mitigator` on a thread of its own, so that reading counters never delays a change. Without
  // one, the runner reads in between.
  MitigatorRunner(std::unique_ptr<ports::Mitigator> mitigator, std::unique_ptr<ports::Mitigator> reader,
                  RunnerOptions options, RunnerCallbacks callbacks, ops::facts::Sink& sink);
  ~MitigatorRunner();
  MitigatorRunner(const MitigatorRunner&) = delete;
  MitigatorRunner& operator=(const MitigatorRunner&) = delete;

  void start();
  // Carries out what was wanted before, then keeps or removes the rules. Takes at most RunnerOptions::finish and a few
  // time-outs of the back end. begin_stop() does not wait, so that several can stop at the same time.
  void begin_stop();
  void stop();

  // Threads: any, before and after start(). They never block on the back end. Wants of one call are carried out
  // together; a newer want of an owner replaces one that still waits. Lists of filters that come with rules are in
  // before them, and go after them (docs/decisions/data-channel.md).
  void want(std::vector<mitigation::Reconciler::Want> wants, std::vector<mitigation::DomainFilters> filters = {});
  void exempt(std::vector<ports::SignalExemption> exemptions);
  void hold(bool on);
  // While on, nothing new is installed and nothing is removed, also not at a stop; what is there is still counted.
  void freeze(bool on);
  // Waits until what freeze() said last holds, and no call that began before can change anything. False: not within
  // `most`, a call hangs.
  bool await_freeze(base::Duration most) const;
  agent::server::BackEndView view() const;
  agent::server::PlannedBackEnd planned() const;  // what it can express
  agent::server::BackEndLoad load() const;        // what it has to do
  bool available() const;                         // it takes changes
  bool quiescent() const;                         // available, and everything is as wanted

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The runner for one [[mitigator]] of the configuration.
base::Result<std::unique_ptr<MitigatorRunner>> make_runner(const ops::MitigatorConfig& config, bool hold,
                                                           ops::facts::Sink& sink, RunnerCallbacks callbacks);

}  // namespace dots::runtime
