#include "ops/sink.h"

#include <fmt/format.h>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <spdlog/async.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <map>
#include <mutex>
#include <set>
#include <sstream>
#include <unordered_map>

#include "model/text.h"
#include "ops/facts/metrics.h"

namespace dots::ops {
namespace {

using facts::name_of;
using facts::Severity;

constexpr std::size_t kQueuedLines = 8192;
constexpr std::size_t kMaxLineBytes = 2000;

Severity severity_of(const std::string& level) {
  for (const Severity s : {Severity::debug, Severity::info, Severity::notice, Severity::warning, Severity::error})
    if (level == name_of(s)) return s;
  return Severity::info;
}

// Names and identities in details come from peers: one line stays one line, and a terminal is not steered.
std::string one_line(const std::string& text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (out.size() >= kMaxLineBytes) return out + "...";
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    else
      out += c;
  }
  return out;
}

// JSON is UTF-8; what a peer calls itself need not be.
std::string readable(std::string text) {
  if (model::is_utf8(text)) return text;
  for (char& c : text)
    if (static_cast<unsigned char>(c) >= 0x80) c = '?';
  return text;
}

class RateLimit {
 public:
  RateLimit(double burst, double per_second) : burst_(burst), per_second_(per_second), tokens_(burst) {}

  bool admit(std::chrono::steady_clock::time_point now) {
    if (last_ != std::chrono::steady_clock::time_point{})
      tokens_ = std::min(burst_, tokens_ + per_second_ * std::chrono::duration<double>(now - last_).count());
    last_ = now;
    if (tokens_ < 1) return ++held_, false;
    tokens_ -= 1;
    return true;
  }
  std::uint64_t take_held() { return std::exchange(held_, 0); }

 private:
  double burst_, per_second_, tokens_;
  std::uint64_t held_ = 0;
  std::chrono::steady_clock::time_point last_{};
};

// One metric with at most so many label values.
template <class Metric>
class Series {
 public:
  Series(prometheus::Registry& registry, std::string_view name, const facts::MetricFact* fact, std::size_t max_values)
      : family_(start().Name(std::string{name}).Help(fact ? std::string{fact->help} : "").Register(registry)),
        label_(fact ? std::string{fact->label} : "label"),
        max_values_(max_values) {}

  Metric& of(std::string_view value) {
    if (const auto it = values_.find(value); it != values_.end()) return *it->second;
    if (values_.size() >= max_values_ && value != kOther) return of(kOther);
    const prometheus::Labels labels =
        label_.empty() || value.empty() ? prometheus::Labels{} : prometheus::Labels{{label_, std::string{value}}};
    return *values_.emplace(std::string{value}, &add(labels)).first->second;
  }

 private:
  static constexpr std::string_view kOther = "other";
  static auto start() {
    if constexpr (std::is_same_v<Metric, prometheus::Counter>)
      return prometheus::BuildCounter();
    else if constexpr (std::is_same_v<Metric, prometheus::Histogram>)
      return prometheus::BuildHistogram();
    else
      return prometheus::BuildGauge();
  }
  Metric& add(const prometheus::Labels& labels) {
    // Seconds: from a rule in memory to a back end that was away.
    if constexpr (std::is_same_v<Metric, prometheus::Histogram>)
      return family_.Add(labels, prometheus::Histogram::BucketBoundaries{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                                         0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300});
    else
      return family_.Add(labels);
  }
  prometheus::Family<Metric>& family_;
  std::string label_;
  std::size_t max_values_;
  std::map<std::string, Metric*, std::less<>> values_;
};

template <class Metric>
using SeriesMap = std::map<std::string, Series<Metric>, std::less<>>;

}  // namespace

struct Instruments::State {
  Options options;
  Severity least = Severity::info;

  std::shared_ptr<spdlog::details::thread_pool> log_thread;
  std::shared_ptr<spdlog::logger> log;

  std::mutex messages_lock;
  std::map<std::string, RateLimit, std::less<>> limits;

  mutable std::mutex metrics_lock;
  prometheus::Registry registry;
  SeriesMap<prometheus::Counter> counters;
  SeriesMap<prometheus::Gauge> gauges;
  SeriesMap<prometheus::Histogram> histograms;

  mutable std::mutex health_lock;
  std::map<std::pair<std::string, std::string>, Unwell> unwell;  // by condition and subject

  std::chrono::steady_clock::time_point now() const {
    return options.clock ? options.clock() : std::chrono::steady_clock::now();
  }
  void write(Severity severity, const std::string& line) {
    if (options.write) return options.write(severity, line);
    if (!log) return;
    const auto level = severity == Severity::debug     ? spdlog::level::debug
                       : severity == Severity::warning ? spdlog::level::warn
                       : severity == Severity::error   ? spdlog::level::err
                                                       : spdlog::level::info;
    log->log(level, "{}", line);
  }
  // The words of a line, for people or for programs. `held`: so many of the same were not written before it.
  std::string line_of(Severity severity, std::string_view id, std::string_view meaning, const std::string& details,
                      std::string_view next_step, std::uint64_t held) const {
    if (options.log.json) {
      boost::json::object out{{"severity", name_of(severity)}, {"id", id}};
      if (!meaning.empty()) out["meaning"] = meaning;
      if (!details.empty()) out["details"] = readable(one_line(details));
      if (severity >= Severity::warning && !next_step.empty()) out["next_step"] = next_step;
      if (held != 0) out["not_written"] = held;
      const std::string text = boost::json::serialize(out);
      return text.substr(1, text.size() - 2);
    }
    std::string line = options.write ? std::string{id} : fmt::format("{:<7} {}", name_of(severity), id);
    if (!meaning.empty()) line += ": " + std::string{meaning};
    if (!details.empty()) line += ": " + one_line(details);
    if (severity >= Severity::warning && !next_step.empty()) line += "; " + std::string{next_step};
    if (held != 0) line += fmt::format(" ({} more of these were not written)", held);
    return line;
  }
  template <class Metric>
  Metric& metric(SeriesMap<Metric>& all, std::string_view name, std::string_view label) {
    auto it = all.find(name);
    if (it == all.end())
      it = all.try_emplace(std::string{name}, registry, name, facts::find_metric(name), options.label_values).first;
    return it->second.of(label);
  }
};

Instruments::Instruments(std::unique_ptr<State> state) : state_(std::move(state)) {}
Instruments::~Instruments() {
  if (!state_) return;
  flush();
  state_->log.reset();
  state_->log_thread.reset();  // joins after the last line
}

base::Result<std::unique_ptr<Instruments>> Instruments::open(Options options) {
  auto state = std::make_unique<State>();
  state->least = severity_of(options.log.level);
  if (!options.write) {
    try {
      spdlog::sink_ptr sink;
      if (options.log.file.empty())
        sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
      else
        sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(options.log.file);
      state->log_thread = std::make_shared<spdlog::details::thread_pool>(kQueuedLines, 1);
      state->log = std::make_shared<spdlog::async_logger>("dotsd", std::move(sink), state->log_thread,
                                                          spdlog::async_overflow_policy::overrun_oldest);
      // A line of JSON begins with its time: the pattern opens the object that write() closes.
      state->log->set_pattern(options.log.json ? R"({"at":"%Y-%m-%dT%H:%M:%S.%eZ",%v})" : "%Y-%m-%dT%H:%M:%S.%eZ %v",
                              spdlog::pattern_time_type::utc);
      state->log->set_level(spdlog::level::trace);
      state->log->flush_on(spdlog::level::info);
    } catch (const spdlog::spdlog_ex& error) {
      return base::Error{"the log cannot be opened: " + std::string{error.what()} +
                         "; check log.file and the permissions of its folder"};
    }
  }
  state->options = std::move(options);
  return std::unique_ptr<Instruments>{new Instruments{std::move(state)}};
}

void Instruments::message(std::string_view id, const std::string& details) {
  const facts::MessageFact* fact = facts::find_message(id);
  say(id, details, fact ? fact->next_step : std::string_view{});
}

void Instruments::say(std::string_view id, const std::string& details, std::string_view next_step) {
  const facts::MessageFact* fact = facts::find_message(id);
  const Severity severity = fact ? fact->severity : Severity::warning;
  count("dots_messages_total", fact ? id : std::string_view{"unknown"}, 1);
  if (severity < state_->least) return;
  std::uint64_t held = 0;
  {
    const std::scoped_lock lock{state_->messages_lock};
    auto it = state_->limits.find(fact ? id : std::string_view{});
    if (it == state_->limits.end())
      it = state_->limits
               .try_emplace(fact ? std::string{id} : std::string{}, state_->options.messages_burst,
                            state_->options.messages_per_second)
               .first;
    if (!it->second.admit(state_->now())) {
      count("dots_message_suppressed_total", fact ? id : std::string_view{"unknown"}, 1);
      return;
    }
    held = it->second.take_held();
  }
  const std::string_view meaning = fact ? fact->meaning : std::string_view{};
  state_->write(severity, state_->line_of(severity, id, meaning, details, next_step, held));
}

void Instruments::count(std::string_view metric, std::string_view label, std::uint64_t increment) {
  const std::scoped_lock lock{state_->metrics_lock};
  state_->metric(state_->counters, metric, label).Increment(static_cast<double>(increment));
}

void Instruments::gauge(std::string_view metric, std::string_view label, double value) {
  const std::scoped_lock lock{state_->metrics_lock};
  state_->metric(state_->gauges, metric, label).Set(value);
}

void Instruments::observe(std::string_view metric, std::string_view label, double value) {
  const std::scoped_lock lock{state_->metrics_lock};
  state_->metric(state_->histograms, metric, label).Observe(value);
}

void Instruments::health(std::string_view condition, std::string_view subject, bool unwell,
                         const std::string& details) {
  const facts::HealthFact* fact = facts::find_health(condition);
  if (!fact) return message(condition, "an undeclared state of health: " + details);
  bool changed = false;
  std::size_t lasting = 0;
  {
    const std::scoped_lock lock{state_->health_lock};
    const std::pair key{std::string{condition}, std::string{subject}};
    const auto it = state_->unwell.find(key);
    if (unwell && it == state_->unwell.end()) {
      const auto since = std::chrono::system_clock::now().time_since_epoch();
      state_->unwell.emplace(key, Unwell{fact, key.second, one_line(details),
                                         std::chrono::duration_cast<std::chrono::seconds>(since).count()});
      changed = true;
    } else if (unwell) {
      it->second.details = one_line(details);
    } else if (it != state_->unwell.end()) {
      state_->unwell.erase(it);
      changed = true;
    }
    for (const auto& [other, what] : state_->unwell) lasting += other.first == condition ? 1 : 0;
  }
  if (!changed) return;
  gauge("dots_unwell", condition, lasting == 0 ? 0 : 1);
  std::string text{condition};
  if (!subject.empty()) text += " (" + std::string{subject} + ")";
  text += unwell ? ": " + std::string{fact->meaning} : ": is over";
  if (unwell && !details.empty()) text += ": " + details;
  if (unwell)
    say("UNWELL", text, fact->next_step);
  else
    message("WELL_AGAIN", text);
}

std::vector<Unwell> Instruments::unwell() const {
  std::vector<Unwell> out;
  {
    const std::scoped_lock lock{state_->health_lock};
    for (const auto& [key, what] : state_->unwell) out.push_back(what);
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const Unwell& a, const Unwell& b) { return a.fact->grade > b.fact->grade; });
  return out;
}

std::string Instruments::metrics_text() const {
  const std::scoped_lock lock{state_->metrics_lock};
  return prometheus::TextSerializer{}.Serialize(state_->registry.Collect());
}

void Instruments::flush() {
  {
    const std::scoped_lock lock{state_->messages_lock};
    for (auto& [id, limit] : state_->limits)
      if (const auto held = limit.take_held(); held != 0)
        state_->write(Severity::notice,
                      state_->options.log.json
                          ? state_->line_of(Severity::notice, id.empty() ? "unknown" : id, {}, {}, {}, held)
                          : fmt::format("{}{}: {} more of these were not written",
                                        state_->options.write ? "" : "notice  ", id.empty() ? "unknown" : id, held));
  }
  if (state_->log) state_->log->flush();
}

}  // namespace dots::ops
