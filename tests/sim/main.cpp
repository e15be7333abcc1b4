// dots_sim: many simulations, one for each seed; or one, told step by step.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/sim/simulation.h"

namespace dots::sim {
namespace {

constexpr std::uint64_t kLeastEvents = 500;
constexpr std::size_t kLeastKinds = 3;

constexpr const char* kUsage =
    "usage: dots_sim [--seeds N] [--first SEED] [--seconds N] [--threads N] [--keep-going] [--allow N] "
    "[--no-coverage]\n"
    "       dots_sim --seed SEED [--verbose] [--print]\n"
    "       dots_sim --scenario FILE [--verbose]\n"
    "Plays one simulation for each seed, or for --seconds as many as there is time for, and says which transitions "
    "were\n"
    "taken. A failing one is made as short as it can be and printed as a scenario; --scenario plays it again.\n";

struct Options {
  std::uint64_t first = 1, seeds = 1000, seconds = 0, allow = 0;
  unsigned threads = std::max(1U, std::thread::hardware_concurrency());
  std::string seed, scenario;
  bool verbose = false, print = false, keep_going = false, coverage = true;
};

Outcome play(const Scenario& scenario, Coverage& coverage, bool verbose) {
  Simulation simulation(scenario, coverage, verbose);
  return simulation.run();
}

// Leaves out every action whose absence lets the failure stay.
Scenario shortened(Scenario scenario, const std::string& failure) {
  Coverage ignored;
  const std::string kind = failure.substr(0, failure.find_first_of("0123456789"));
  for (std::size_t chunk = scenario.actions.size(); chunk >= 1; chunk /= 2) {
    for (std::size_t at = 0; at < scenario.actions.size();) {
      Scenario less = scenario;
      const auto from = less.actions.begin() + static_cast<std::ptrdiff_t>(at);
      less.actions.erase(from, from + static_cast<std::ptrdiff_t>(std::min(chunk, less.actions.size() - at)));
      const Outcome outcome = play(less, ignored, false);
      if (!outcome.failure.empty() && outcome.failure.starts_with(kind)) {
        scenario = std::move(less);
      } else {
        at += chunk;
      }
    }
  }
  return scenario;
}

void print_failure(const Scenario& scenario, const Outcome& outcome) {
  std::printf("FAIL seed %llu at %.3f s: %s\n", static_cast<unsigned long long>(scenario.seed), outcome.at_s,
              outcome.failure.c_str());
}

int one(const Options& options) {
  Scenario scenario;
  if (options.scenario.empty()) {
    scenario = generate(std::strtoull(options.seed.c_str(), nullptr, 10));
  } else {
    std::ifstream file(options.scenario);
    std::stringstream text;
    text << file.rdbuf();
    auto parsed = file ? parse_scenario(text.str()) : base::Result<Scenario>(base::Error{"it cannot be read"});
    if (!parsed) {
      std::fprintf(stderr, "%s: %s\n", options.scenario.c_str(), parsed.error().message.c_str());
      return 2;
    }
    scenario = std::move(*parsed);
  }
  if (options.print) std::fputs(to_text(scenario).c_str(), stdout);
  Coverage coverage;
  const Outcome outcome = play(scenario, coverage, options.verbose);
  if (!outcome.failure.empty()) {
    print_failure(scenario, outcome);
    return 1;
  }
  std::printf("PASS seed %llu: %llu events, %zu kinds of fault\n", static_cast<unsigned long long>(scenario.seed),
              static_cast<unsigned long long>(outcome.events), scenario.fault_kinds());
  return 0;
}

class Run {
 public:
  explicit Run(const Options& options) : options_(options) {}

  int go() {
    const auto began = std::chrono::steady_clock::now();
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < options_.threads; ++i) threads.emplace_back([this, began] { work(began); });
    for (auto& thread : threads) thread.join();
    const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();

    std::printf("transitions:\n");
    for (const auto& [what, count] : coverage_.counts()) {
      std::printf("  %-70s %12llu\n", what.c_str(), static_cast<unsigned long long>(count));
    }
    for (const Scenario& scenario : failed_) {
      Coverage ignored;
      const Scenario shorter = shortened(scenario, play(scenario, ignored, false).failure);
      print_failure(shorter, play(shorter, ignored, false));
      std::printf("%s", to_text(shorter).c_str());
    }
    // Findings that are open are told, and allowed up to a number that only goes down.
    bool bad = failures_ > options_.allow;
    if (failures_ > 0) {
      std::printf("%zu of %llu seeds failed, %llu are allowed\n", static_cast<std::size_t>(failures_),
                  static_cast<unsigned long long>(played_), static_cast<unsigned long long>(options_.allow));
    }
    if (options_.coverage) {
      for (const std::string& what : coverage_.missing()) {
        std::printf("FAIL never taken: %s\n", what.c_str());
        bad = true;
      }
    }
    if (least_events_ < kLeastEvents || least_kinds_ < kLeastKinds) {
      std::printf("FAIL a simulation had only %llu events or %zu kinds of fault\n",
                  static_cast<unsigned long long>(least_events_), least_kinds_);
      bad = true;
    }
    std::printf("%s: %llu seeds from %llu, %llu events (at least %llu each, with %zu kinds of fault), %.1f s\n",
                bad ? "FAIL" : "PASS", static_cast<unsigned long long>(played_),
                static_cast<unsigned long long>(options_.first), static_cast<unsigned long long>(events_),
                static_cast<unsigned long long>(least_events_), least_kinds_, took);
    return bad ? 1 : 0;
  }

 private:
  void work(std::chrono::steady_clock::time_point began) {
    Coverage coverage;
    for (;;) {
      const std::uint64_t index = next_++;
      const auto passed = std::chrono::steady_clock::now() - began;
      if (options_.seconds > 0 ? passed >= std::chrono::seconds{options_.seconds} : index >= options_.seeds) break;
      if (failures_ > options_.allow && !options_.keep_going) break;
      const Scenario scenario = generate(options_.first + index);
      const Outcome outcome = play(scenario, coverage, false);
      const std::lock_guard lock(mutex_);
      ++played_;
      events_ += outcome.events;
      if (!outcome.failure.empty()) {
        ++failures_;
        print_failure(scenario, outcome);
        if (failed_.size() < 3) failed_.push_back(scenario);
        continue;
      }
      least_events_ = std::min(least_events_, outcome.events);
      least_kinds_ = std::min(least_kinds_, scenario.fault_kinds());
    }
    const std::lock_guard lock(mutex_);
    coverage_.add(coverage);
  }

  const Options& options_;
  std::atomic<std::uint64_t> next_{0};
  std::atomic<std::size_t> failures_{0};
  std::mutex mutex_;
  Coverage coverage_;
  std::vector<Scenario> failed_;
  std::uint64_t played_ = 0, events_ = 0, least_events_ = UINT64_MAX;
  std::size_t least_kinds_ = SIZE_MAX;
};

}  // namespace
}  // namespace dots::sim

int main(int count, char** arguments) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // a failure is told when it happens
  dots::sim::Options options;
  for (int i = 1; i < count; ++i) {
    const std::string name = arguments[i];
    const auto value = [&]() -> std::string {
      if (i + 1 < count) return arguments[++i];
      std::fputs(dots::sim::kUsage, stderr);
      std::exit(2);
    };
    if (name == "--seeds") {
      options.seeds = std::stoull(value());
    } else if (name == "--first") {
      options.first = std::stoull(value());
    } else if (name == "--seconds") {
      options.seconds = std::stoull(value());
    } else if (name == "--allow") {
      options.allow = std::stoull(value());
    } else if (name == "--threads") {
      options.threads = static_cast<unsigned>(std::stoul(value()));
    } else if (name == "--seed") {
      options.seed = value();
    } else if (name == "--scenario") {
      options.scenario = value();
    } else if (name == "--verbose") {
      options.verbose = true;
    } else if (name == "--print") {
      options.print = true;
    } else if (name == "--keep-going") {
      options.keep_going = true;
    } else if (name == "--no-coverage") {
      options.coverage = false;
    } else {
      std::fputs(dots::sim::kUsage, name == "--help" ? stdout : stderr);
      return name == "--help" ? 0 : 2;
    }
  }
  if (!options.seed.empty() || !options.scenario.empty()) return dots::sim::one(options);
  return dots::sim::Run{options}.go();
}
