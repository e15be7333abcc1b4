#include "dots-bench/run.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <utility>

#include "dots-bench/target.h"

namespace dots::bench {
namespace {

// The goals of docs/performance.md.
constexpr double kRequestGoal = 0.7;
constexpr double kMitigationGoal = 0.35;
constexpr double kActiveGoal = 1 / 1.3;  // at 10,000 active, of what it is with few
constexpr double kHandshakeGoal = 0.9;

constexpr const char* kDtlsEcho = "bare DTLS echo";

void say(const std::string& text) {
  std::fprintf(stderr, "%s\n", text.c_str());
  std::fflush(stderr);
}

class Run {
 public:
  Run(const RunOptions& options, std::string self) : options_(options), self_(std::move(self)) {
    report_.options = options;
  }

  base::Result<Report> all() {
    report_.machine = this_machine();
    auto set = ConfigSet::make(options_.work_folder, {options_.domains});
    if (!set) return set.error();
    set_ = std::move(*set);
    if (options_.keep) set_->keep();
    auto disk = measure_disk(set_->folder(), options_.disk_writes);
    if (!disk) return disk.error();
    report_.disk = *disk;
    for (const auto step : {&Run::start_references, &Run::requests, &Run::mitigations, &Run::handshakes}) {
      if (auto done = (this->*step)(); !done) return done.error();
    }
    read_suites();
    return std::move(report_);
  }

 private:
  // ---- what is measured against what
  base::Result<void> start_references();
  base::Result<std::unique_ptr<Process>> start_reference(const std::vector<std::string>& arguments,
                                                         model::SocketAddress& address);
  base::Result<Target> echo_target(std::size_t sessions);
  base::Result<Target> daemon_target(const std::vector<ClientCredentials>& clients, std::size_t sessions);
  base::Result<void> start_daemon();
  void read_suites();

  // One round of a row, and behind it that of `bare`, the echo with its sizes and its number of sessions.
  base::Result<void> pair(Target& target, Target& bare, const Workload& workload, std::uint64_t requests, Row& row,
                          Row* echo_row, Row* udp_row);

  base::Result<void> requests();
  base::Result<void> mitigations();
  base::Result<void> mitigation_round(Row& few, Row& many, Row& spread, Row& echo_row);
  base::Result<void> handshakes();

  const RunOptions& options_;
  const std::string self_;
  Report report_;
  std::unique_ptr<ConfigSet> set_;
  std::unique_ptr<Process> udp_process_, dtls_process_;
  model::SocketAddress udp_address_, dtls_address_;
  Target udp_, dtls_, many_;
  std::unique_ptr<Daemon> daemon_;
};

base::Result<std::unique_ptr<Process>> Run::start_reference(const std::vector<std::string>& arguments,
                                                            model::SocketAddress& address) {
  std::vector<std::string> command = {self_, "reference"};
  command.insert(command.end(), arguments.begin(), arguments.end());
  auto process = Process::start(command, set_->file("reference.log"), true);
  if (!process) return process;
  address = {*model::parse_ip_address("127.0.0.1"), 0};
  address.port = static_cast<std::uint16_t>(std::strtoul((*process)->first_line().c_str(), nullptr, 10));
  return process;
}

base::Result<void> Run::start_references() {
  auto udp = start_reference({"udp"}, udp_address_);
  if (!udp) return udp.error();
  udp_process_ = std::move(*udp);
  auto dtls = start_reference({"dtls", "--folder", set_->folder()}, dtls_address_);
  if (!dtls) return dtls.error();
  dtls_process_ = std::move(*dtls);

  auto plain = open_plain(udp_address_, options_.sessions);
  if (!plain) return plain.error();
  udp_ = {udp_process_.get(), nullptr, std::make_unique<Load>(std::move(*plain))};
  auto bare = echo_target(options_.sessions);
  if (!bare) return bare.error();
  dtls_ = std::move(*bare);
  return {};
}

base::Result<Target> Run::echo_target(std::size_t sessions) {
  auto clients = set_->one_client();
  if (!clients) return clients.error();
  OpenOptions open;
  open.server = dtls_address_;
  open.credentials = *clients;
  open.sessions = sessions;
  auto opened = open_sessions(open);
  if (!opened) return base::Error{"bare DTLS echo: " + opened.error().message};
  return Target{dtls_process_.get(), nullptr, std::make_unique<Load>(std::move(opened->lanes))};
}

base::Result<void> Run::start_daemon() {
  daemon_.reset();
  if (auto empty = set_->forget_state(); !empty) return empty;
  auto daemon = Daemon::start(options_.dotsd, *set_);
  if (!daemon) return daemon.error();
  daemon_ = std::move(*daemon);
  return {};
}

base::Result<Target> Run::daemon_target(const std::vector<ClientCredentials>& clients, std::size_t sessions) {
  OpenOptions open;
  open.server = set_->server();
  open.credentials = clients;
  open.sessions = sessions;
  auto opened = open_sessions(open);
  if (!opened) return base::Error{"dotsd: " + opened.error().message};
  return Target{&daemon_->process(), daemon_.get(), std::make_unique<Load>(std::move(opened->lanes))};
}

void Run::read_suites() {
  std::ifstream log{set_->file("reference.log")};
  for (std::string line; std::getline(log, line);) {
    if (line.starts_with("suite ")) report_.suites.push_back(line.substr(6));
  }
}

base::Result<void> Run::pair(Target& target, Target& bare_target, const Workload& workload, std::uint64_t requests,
                             Row& row, Row* echo_row, Row* udp_row) {
  auto measured = measure(target, workload, requests, options_.in_flight);
  if (!measured) return base::Error{row.name + ": " + measured.error().message};
  const auto size = [](double bytes) { return static_cast<std::size_t>(bytes + 0.5); };
  const LoadResult& load = measured->load;
  row.request_datagram_bytes = load.request_datagram_bytes;
  row.answer_datagram_bytes = load.answer_datagram_bytes;

  auto bare = measure(bare_target, echo(size(load.request_bytes), size(load.answer_bytes)), options_.requests,
                      options_.in_flight);
  if (!bare) return base::Error{std::string{kDtlsEcho} + ": " + bare.error().message};
  row.ratios.push_back(measured->sample.per_cpu_s() / bare->sample.per_cpu_s());
  say(fmt::format("  {:<36} {:>9.0f}/cpu s, {} {:>9.0f}/cpu s", row.name, measured->sample.per_cpu_s(), kDtlsEcho,
                  bare->sample.per_cpu_s()));
  row.samples.push_back(std::move(measured->sample));
  if (echo_row != nullptr) {
    echo_row->request_datagram_bytes = bare->load.request_datagram_bytes;
    echo_row->answer_datagram_bytes = bare->load.answer_datagram_bytes;
    echo_row->samples.push_back(std::move(bare->sample));
  }
  if (udp_row == nullptr) return {};
  auto plain = measure(udp_, echo(size(load.request_datagram_bytes), size(load.answer_datagram_bytes)),
                       options_.requests, options_.in_flight);
  if (!plain) return base::Error{"bare UDP echo: " + plain.error().message};
  udp_row->request_datagram_bytes = plain->load.request_datagram_bytes;
  udp_row->answer_datagram_bytes = plain->load.answer_datagram_bytes;
  udp_row->samples.push_back(std::move(plain->sample));
  return {};
}

base::Result<void> Run::requests() {
  const bool beats = options_.wants("heartbeat");
  const bool gets = options_.wants("get");
  const bool refreshes = options_.wants("refresh");
  if (!beats && !gets && !refreshes) return {};
  say("requests");
  if (auto started = start_daemon(); !started) return started;
  auto clients = set_->one_client();
  if (!clients) return clients.error();
  auto target = daemon_target(*clients, options_.sessions);
  if (!target) return target.error();
  if (auto proven = prove_counters(*daemon_, target->load->lane(0)); !proven) return proven;
  auto mids = std::make_shared<Mids>(Spread{});
  if (auto filled = fill(*target, put_new(mids), options_.sessions, options_.in_flight); !filled) return filled;

  Row udp{"bare UDP echo (sizes of heartbeat)", "-", {}, {}, "", {}, "", 0, 0};
  Row dtls{"bare DTLS echo (sizes of heartbeat)", "psk", {}, {}, "", {}, "", 0, 0};
  Row get_dtls{"bare DTLS echo (sizes of get)", "psk", {}, {}, "", {}, "", 0, 0};
  Row heartbeat{"heartbeat", "psk", {}, {}, kDtlsEcho, kRequestGoal, ">= 0.70", 0, 0};
  Row get{"get", "psk", {}, {}, kDtlsEcho, kRequestGoal, ">= 0.70", 0, 0};
  Row again{"refresh, durable", "psk", {}, {}, kDtlsEcho, {}, "", 0, 0};
  for (std::size_t round = 0; round < options_.rounds; ++round) {
    if (beats) {
      if (auto done = pair(*target, dtls_, heartbeats(), options_.requests, heartbeat, &dtls, &udp); !done) return done;
    }
    if (gets) {
      if (auto done = pair(*target, dtls_, get_one(mids), options_.requests, get, &get_dtls, nullptr); !done)
        return done;
    }
    if (refreshes) {
      if (auto done = pair(*target, dtls_, refresh(mids), options_.mitigations, again, nullptr, nullptr); !done)
        return done;
    }
  }
  for (Row* row : {&udp, &dtls, &heartbeat, &get_dtls, &get, &again}) {
    if (!row->samples.empty()) report_.rows.push_back(std::move(*row));
  }
  return {};
}

base::Result<void> Run::mitigation_round(Row& few, Row& many, Row& spread, Row& echo_row) {
  const auto clients = set_->one_client();
  if (!clients) return clients.error();
  const auto each = set_->domain_clients();
  if (!each) return each.error();

  // One domain: from nothing, and with `active` in it.
  if (auto started = start_daemon(); !started) return started;
  {
    auto target = daemon_target(*clients, many_.load->sessions());
    if (!target) return target.error();
    auto mids = std::make_shared<Mids>(Spread{});
    if (auto done = pair(*target, many_, put_new(mids), options_.mitigations, few, &echo_row, nullptr); !done)
      return done;
    if (mids->total() < options_.active) {
      if (auto done = fill(*target, put_new(mids), options_.active - mids->total(), options_.in_flight); !done) {
        return done;
      }
    }
    if (auto done = pair(*target, many_, put_new(mids), options_.mitigations, many, nullptr, nullptr); !done)
      return done;
  }
  // Many domains with `active` in all.
  if (auto started = start_daemon(); !started) return started;
  auto target = daemon_target(*each, many_.load->sessions());
  if (!target) return target.error();
  auto mids = std::make_shared<Mids>(Spread{options_.domains, 1});
  if (auto done = fill(*target, put_new(mids), options_.active, options_.in_flight); !done) return done;
  return pair(*target, many_, put_new(mids), options_.mitigations, spread, nullptr, nullptr);
}

base::Result<void> Run::mitigations() {
  if (!options_.wants("put-new")) return {};
  say("mitigations");
  // A session for each domain, and as many everywhere: more sessions cost more cache misses, whoever serves them.
  auto bare_target = echo_target(std::max(options_.sessions, options_.domains));
  if (!bare_target) return bare_target.error();
  many_ = std::move(*bare_target);
  Row bare{"bare DTLS echo (sizes of put)", "psk", {}, {}, "", {}, "", 0, 0};
  Row few{"put-new, durable, few active", "psk", {}, {}, kDtlsEcho, kMitigationGoal, ">= 0.35", 0, 0};
  Row many{fmt::format("put-new at {} active, 1 domain", options_.active), "psk", {}, {}, kDtlsEcho, {}, "", 0, 0};
  Row spread{fmt::format("put-new at {} active, {} domains", options_.active, options_.domains),
             "psk",
             {},
             {},
             kDtlsEcho,
             {},
             "",
             0,
             0};
  for (std::size_t round = 0; round < options_.rounds; ++round) {
    if (auto done = mitigation_round(few, many, spread, bare); !done) return done;
  }
  // Their goal is against the first row: growth must not cost.
  for (Row* row : {&many, &spread}) {
    for (std::size_t round = 0; round < row->ratios.size(); ++round) {
      row->ratios[round] = row->samples[round].per_cpu_s() / few.samples[round].per_cpu_s();
    }
    row->reference = "put-new with few";
    row->goal = kActiveGoal;
    row->goal_text = ">= 0.77";
  }
  for (Row* row : {&bare, &few, &many, &spread}) report_.rows.push_back(std::move(*row));
  return {};
}

base::Result<void> Run::handshakes() {
  if (!options_.wants("handshake")) return {};
  say("handshakes");
  if (auto started = start_daemon(); !started) return started;
  const auto psk = set_->one_client();
  if (!psk) return psk.error();
  const auto x509 = set_->x509_client();
  if (!x509) return x509.error();
  for (const auto& [name, clients] : {std::pair{"psk", *psk}, std::pair{"x509", *x509}}) {
    Row bare{"bare GnuTLS handshake, full", name, {}, {}, "", {}, "", 0, 0};
    Row ours{"handshake, full", name, {}, {}, "bare GnuTLS", kHandshakeGoal, ">= 0.90", 0, 0};
    OpenOptions open;
    open.credentials = clients;
    open.sessions = options_.handshakes;
    open.in_flight = options_.handshakes_in_flight;
    open.keep = false;
    for (std::size_t round = 0; round < options_.rounds; ++round) {
      open.server = set_->server();
      auto measured = measure_handshakes(daemon_->process(), daemon_.get(), open);
      if (!measured) return base::Error{std::string{name} + " handshakes: " + measured.error().message};
      open.server = dtls_address_;
      auto reference = measure_handshakes(*dtls_process_, nullptr, open);
      if (!reference) return base::Error{std::string{"bare "} + name + " handshakes: " + reference.error().message};
      ours.ratios.push_back(measured->per_cpu_s() / reference->per_cpu_s());
      say(fmt::format("  {:<36} {:>9.0f}/cpu s, bare GnuTLS {:>9.0f}/cpu s", name, measured->per_cpu_s(),
                      reference->per_cpu_s()));
      ours.samples.push_back(std::move(*measured));
      bare.samples.push_back(std::move(*reference));
    }
    report_.rows.push_back(std::move(bare));
    report_.rows.push_back(std::move(ours));
  }
  return {};
}

}  // namespace

base::Result<Report> run(const RunOptions& options, const std::string& self) {
  // A socket for each session, of three targets.
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
  return Run{options, self}.all();
}

}  // namespace dots::bench
