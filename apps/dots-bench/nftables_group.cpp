#include <fmt/format.h>

#include <array>
#include <utility>

#include "dots-bench/ask.h"
#include "dots-bench/groups.h"
#include "dots-bench/namespace.h"
#include "dots-bench/poller.h"

namespace dots::bench {
namespace {

using namespace std::chrono_literals;

constexpr double kOverFsyncMs = 15;
constexpr base::Duration kRulePatience = 20s;

// Requests one after the other, each followed by GETs until the server says that the rule is there.
class RuleWatch {
 public:
  RuleWatch(Load& load, std::shared_ptr<Mids> mids) : load_(load), mids_(std::move(mids)), put_(put_new(mids_)) {}

  base::Result<base::Duration> one() {
    Lane& lane = next_lane();
    const Outgoing request = put_.make(0, lane.next_message_id++, next_token());
    const base::SteadyTime sent = steady_now();
    const auto answer = ask(lane, request.message);
    if (!answer) return answer.error();
    if (const auto wrong = put_.check(*answer, request.tag)) return base::Error{*wrong};
    const auto mid = static_cast<std::uint32_t>(request.tag);
    while (steady_now() - sent < kRulePatience) {
      // Every session may ask: they are of one client. So none of them runs out of message ids.
      Lane& other = next_lane();
      const auto told = ask(other, get_of(mid, other.next_message_id++, next_token()));
      if (!told) return told.error();
      const auto status = status_in(*told, mid);
      if (!status) return base::Error{fmt::format("no status of mid {}", mid)};
      if (*status == model::MitigationStatus::successfully_mitigated) return steady_now() - sent;
      if (*status != model::MitigationStatus::in_progress) {
        return base::Error{fmt::format("mid {} has status {}", mid, model::name_of(*status))};
      }
    }
    return base::Error{fmt::format("no rule for mid {}", mid)};
  }

 private:
  Lane& next_lane() { return load_.lane(turn_++ % load_.sessions()); }
  std::array<std::uint8_t, 4> next_token() {
    ++token_;
    return {0xfe, static_cast<std::uint8_t>(token_ >> 16), static_cast<std::uint8_t>(token_ >> 8),
            static_cast<std::uint8_t>(token_)};
  }
  Load& load_;
  std::shared_ptr<Mids> mids_;
  Workload put_;
  std::size_t turn_ = 0;
  std::uint32_t token_ = 0;
};

base::Result<void> watch_rules(Rig& rig, Target& target, const std::shared_ptr<Mids>& mids, Row& row) {
  RuleWatch rules{*target.load, mids};
  const auto before = rig.daemon().metrics();
  if (!before) return before.error();
  if (auto warm = rules.one(); !warm) return warm.error();
  Sample sample;
  const base::SteadyTime begin = steady_now();
  for (std::uint64_t i = 0; i < rig.options().rules; ++i) {
    auto took = rules.one();
    if (!took) return base::Error{row.name + ": " + took.error().message};
    sample.latencies.push_back(*took);
  }
  sample.wall_s = std::chrono::duration<double>(steady_now() - begin).count();
  sample.operations = static_cast<double>(rig.options().rules);
  const auto after = rig.daemon().metrics();
  if (!after) return after.error();
  for (const auto& reason : spoiled(*before, *after)) return base::Error{row.name + " is spoiled: " + reason};
  const double installed = after->sum("dots_mitigator_rules");
  if (installed < static_cast<double>(mids->total())) {
    return base::Error{fmt::format("{}: {} rules for {} mitigations", row.name, installed, mids->total())};
  }
  row.samples.push_back(std::move(sample));
  const Percentiles found = row.latency();
  say(fmt::format("  {:<36} p50 {:.2f} ms, p95 {:.2f} ms, p99 {:.2f} ms", row.name, found.p50_us / 1000,
                  found.p95_us / 1000, found.p99_us / 1000));
  return {};
}

base::Result<void> measure_rules(Rig& rig, Row& few, Row& many) {
  const auto clients = rig.set().one_client();
  if (!clients) return clients.error();
  if (auto started = rig.start_daemon(); !started) return started;
  auto target = rig.daemon_target(*clients, rig.options().sessions);
  if (!target) return target.error();
  auto mids = std::make_shared<Mids>(Spread{});
  if (auto done = watch_rules(rig, *target, mids, few); !done) return done;
  if (mids->total() < rig.options().active) {
    auto filled = fill(*target, put_new(mids), rig.options().active - mids->total(), rig.options().in_flight);
    if (!filled) return filled;
  }
  // The last rules of those are still on their way.
  RuleWatch settle{*target->load, mids};
  if (auto done = settle.one(); !done) return done.error();
  return watch_rules(rig, *target, mids, many);
}

}  // namespace

base::Result<Rows> nftables_rows(const RunOptions& options, const std::string& self, const Disk& disk) {
  if (!options.wants("nftables")) return Rows{};
  say("nftables");
  const std::vector<Goal> goals = {at_most_ms(Figure::p99_ms, disk.fsync_p99_ms + kOverFsyncMs)};
  Row few{.name = "nftables, request to rule, few active", .goals = goals};
  Row many{.name = fmt::format("... at {} active", options.active), .goals = goals};
  auto network = OwnNetwork::enter();
  if (!network) {
    few.skipped = many.skipped = network.error().message;
  } else {
    auto rig = Rig::make(options, self, {.domains = 1, .mitigator = "nftables"});
    if (!rig) return rig.error();
    if (auto done = measure_rules(**rig, few, many); !done) return done.error();
  }
  Rows rows;
  rows.push_back(std::move(few));
  rows.push_back(std::move(many));
  return rows;
}

}  // namespace dots::bench
