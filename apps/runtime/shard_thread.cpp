#include "apps/runtime/shard_thread.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <string>
#include <utility>

#include "apps/runtime/coap_metrics.h"

namespace dots::runtime {

using agent::server::Shard;
using agent::server::ShardOutput;

namespace {

// So often an idle shard looks at the clocks.
constexpr base::Duration kClockTick = std::chrono::seconds{1};
constexpr base::Duration kClockStep = std::chrono::seconds{5};
constexpr base::Duration kReadAgain = std::chrono::seconds{1};

struct Metric {
  std::uint64_t agent::server::ShardCounts::*count;
  const char* name;
};
using Counts = agent::server::ShardCounts;
constexpr Metric kMetrics[] = {
    {&Counts::datagrams, "dots_datagrams_total"},
    {&Counts::unknown_peer, "dots_datagrams_unknown_peer_total"},
    {&Counts::requests, "dots_requests_total"},
    {&Counts::heartbeats, "dots_heartbeats_total"},
    {&Counts::refused, "dots_requests_refused_total"},
    {&Counts::notifications, "dots_notifications_total"},
    {&Counts::answers_cut, "dots_answers_cut_total"},
    {&Counts::reports_dropped, "dots_reports_dropped_total"},
    {&Counts::credentials_ended, "dots_sessions_credential_ended_total"},
    {&Counts::throttled, "dots_requests_throttled_total"},
    {&Counts::sessions_refused, "dots_sessions_refused_total"},
    {&Counts::sessions_crowded_out, "dots_sessions_crowded_out_total"},
    {&Counts::data_requests, "dots_data_requests_total"},
    {&Counts::damped, "dots_requests_damped_total"},
};
static_assert(std::size(kMetrics) * sizeof(std::uint64_t) + sizeof(coap::Counters) + sizeof(Counts::redirected) ==
                  sizeof(Counts),
              "every count of a shard is a metric");

}  // namespace

ShardThread::ShardThread(std::uint32_t index, std::unique_ptr<Shard> shard, ShardWorld world, ops::facts::Sink& sink)
    : index_(index), shard_(std::move(shard)), world_(std::move(world)), sink_(sink) {
  loop_.set_handlers({
      [this](std::span<model::Datagram> datagrams) {
        const base::Now now = loop_.now();
        for (const auto& datagram : datagrams) shard_->on_datagram(datagram, now, round_);
      },
      [this] {
        const base::Now now = loop_.now();
        if (std::exchange(commit_refused_, false))
          shard_->committed({ports::CommitOutcome::refused, "the commit queue is full"}, now, round_);
        shard_->on_timer(now, round_);
      },
      [this] { finish_round(); },  // also when only kClockTick has passed
      [this](const model::Path& path, const std::string& reason) {
        shard_->on_disconnected(path, reason, loop_.now(), round_);
      },
  });
}

ShardThread::~ShardThread() { stop(); }

void ShardThread::add_socket(adapters::net::UdpSocket socket) { loop_.add_socket(std::move(socket)); }

bool ShardThread::adopt(agent::Admitted admitted, adapters::net::TcpStream stream) {
  return loop_.post([this, admitted = std::move(admitted), stream = std::move(stream)]() mutable {
    loop_.add_stream(std::move(stream));
    shard_->on_admitted(std::move(admitted), loop_.now(), round_);
  });
}

void ShardThread::start(ports::Snapshot snapshot) {
  thread_ = std::thread([this, snapshot = std::move(snapshot)] {
    shard_->load(snapshot, loop_.now(), round_);
    finish_round();
    loop_.run();
  });
}

void ShardThread::stop() {
  if (stopped_.exchange(true) || !thread_.joinable()) return;
  post_surely([this](Shard& shard, base::Now now, ShardOutput& out) {
    shard.close_all("the server stops", now, out);
    stopping_ = true;
  });
  thread_.join();
  ended_ = true;
}

bool ShardThread::post(Step step, adapters::net::Priority priority) {
  return loop_.post([this, step = std::move(step)] { step(*shard_, loop_.now(), round_); }, priority);
}

void ShardThread::post_surely(Step step) {
  while (!ended_ && !post(step, adapters::net::Priority::reserved))
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
}

void ShardThread::read_later(const base::DomainId& domain) {
  post_surely([this, domain](Shard&, base::Now now, ShardOutput&) {
    unread_.insert(domain);
    read_again_at_ = now.steady + kReadAgain;
  });
}

void ShardThread::read_again(base::Now now) {
  if (unread_.empty() || now.steady < read_again_at_) return;
  std::erase_if(unread_, [&](const base::DomainId& domain) { return world_.read(index_, domain); });
  read_again_at_ = now.steady + kReadAgain;
}

void ShardThread::finish_round() {
  const base::Now now = loop_.now();
  watch_clock(now);
  if (const LossVerdict losses = world_.losses(); losses != losses_) {
    losses_ = losses;
    const base::Duration grace = std::max(base::Duration::zero(), losses.no_loss_before - now.steady);
    shard_->guard({losses.held, grace}, now, round_);
  }
  shard_->end_of_round(now, round_);
  perform(std::exchange(round_, {}));
  // What could not be handed over was answered in perform; it may have queued more to send.
  if (!round_.send.empty() || !round_.close.empty()) perform(std::exchange(round_, {}));
  read_again(now);
  const base::SteadyTime tick = commit_refused_ ? now.steady : now.steady + kClockTick;
  loop_.set_deadline(std::min(shard_->next_deadline().value_or(tick), tick));
  if (stopping_ && !shard_->busy()) loop_.stop();
}

void ShardThread::perform(ShardOutput out) {
  // Before anything that another shard could take for a loss.
  if (out.stalled) world_.stalled(loop_.now());
  if (out.clients) world_.clients(index_, *out.clients, loop_.now());
  if (!out.peers_opened.empty() || !out.peers_closed.empty()) world_.peers(out.peers_opened, out.peers_closed);
  if (!out.send.empty()) loop_.send(out.send);
  for (const auto& path : out.close) loop_.close_stream(path);
  if (out.commit) commit_refused_ = !world_.commit(index_, std::move(*out.commit), loop_.now());
  for (const auto& domain : out.reload) {
    if (!world_.read(index_, domain)) unread_.insert(domain);
  }
  if (!out.wants.empty() || !out.filters.empty()) world_.want(std::move(out.wants), std::move(out.filters));
  for (const auto& [domain, name] : out.resolve) world_.resolve(domain, name);
  for (const auto& answer : out.operator_answers) world_.operator_answer(answer);
  for (auto& [ticket, answer] : out.data_answers) world_.data_answer(ticket, std::move(answer));
  for (auto& [to, messages] : out.to_domain) {
    for (auto& message : messages) {
      if (world_.to_domain(to, message)) continue;
      sink_.message("HAND_OVER_FULL", "shard " + std::to_string(to));
      sink_.count("dots_hand_over_refused_total", std::to_string(to), 1);
      shard_->on_undelivered(message, loop_.now(), round_);
    }
  }
  for (auto& [to, messages] : out.to_session) world_.to_session(to, std::move(messages));
  for (const auto& line : out.lines) sink_.message(line.id, line.details);
  count(out.counts);
}

void ShardThread::count(const agent::server::ShardCounts& counts) {
  for (const Metric& metric : kMetrics) {
    if (counts.*metric.count > 0) sink_.count(metric.name, "", counts.*metric.count);
  }
  count_coap(counts.coap, sink_);
  for (std::size_t i = 0; i < counts.redirected.size(); ++i) {
    if (counts.redirected[i] == 0) continue;
    const auto reason = agent::server::name_of(static_cast<agent::server::RedirectReason>(i));
    sink_.count("dots_redirects_total", std::string{reason}, counts.redirected[i]);
  }
}

// A step of the wall clock harms nothing that runs (deadlines are steady), but operators should hear of it, and what is
// stored must follow: an idle daemon would be restarted with deadlines of the old clock.
void ShardThread::watch_clock(base::Now now) {
  if (last_) {
    const base::Duration drift = (now.wall - last_->wall) - (now.steady - last_->steady);
    if (drift > kClockStep || drift < -kClockStep) {
      shard_->on_clock_step(now, round_);
      if (index_ == 0)
        sink_.message("WALL_CLOCK_STEP",
                      "by " + std::to_string(std::chrono::duration_cast<std::chrono::seconds>(drift).count()) + " s");
    }
  }
  last_ = now;
  if (index_ == 0) world_.tick(now);
}

}  // namespace dots::runtime
