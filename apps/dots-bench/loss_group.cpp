#include <fmt/format.h>

#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "base/bytes.h"
#include "dots-bench/groups.h"
#include "dots-bench/poller.h"
#include "dots-bench/relay.h"
#include "dotsctl/api_client.h"
#include "dotsctl/json_read.h"

namespace dots::bench {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr unsigned kLossPercent = 70;
constexpr base::Duration kOneWay = 25ms;
constexpr double kP99Ms = 5000;
constexpr std::uint64_t kUnmeasured = 3;  // requests without loss: the round trip is known from them on
constexpr unsigned kWaitS = 20;
constexpr base::Duration kLongest = 120s;  // for an answer
constexpr base::Duration kPause = 2s;

// A dotsd in the role of a client, of the domain with the same number.
struct Client {
  std::size_t domain = 0;
  std::unique_ptr<Daemon> daemon;
  base::Duration pause;  // between two orders, at most
  std::uint32_t asked = 0;

  // From the order until the server's answer is there. Returns when the client has nothing under way any more.
  base::Result<base::Duration> mitigate() {
    const std::string prefix = domain_prefix(domain);
    const std::string target = fmt::format("{}{:x}", prefix.substr(0, prefix.find('/')), ++asked);
    const base::SteadyTime begin = steady_now();
    const auto reply = dotsctl::call_api(daemon->socket(), "mitigate",
                                         {{"target-prefix", boost::json::array{target}},
                                          {"target-protocol", boost::json::array{"udp"}},
                                          {"wait", kWaitS}},
                                         std::chrono::seconds{kWaitS + 10});
    if (!reply.reached) return base::Error{reply.why};
    const auto* mitigation = dotsctl::member(reply.body, "mitigation");
    const auto mid = mitigation != nullptr ? dotsctl::count_of(*mitigation, "mid") : std::nullopt;
    if (!mid) return base::Error{"an order was refused: " + boost::json::serialize(reply.body)};
    if (dotsctl::text_of(*mitigation, "phase") != "active") {
      // It took longer than the API waits.
      auto late = until(*mid, kLongest, [](const auto& now) { return dotsctl::text_of(now, "phase") == "active"; });
      if (!late) return base::Error{fmt::format("the request for {} is not active: {}", target, late.error().message)};
    }
    const base::Duration took = steady_now() - begin;
    // Behind the answer the client asks for the status; mostly the next order does not have to wait for that.
    (void)until(*mid, pause, [](const auto& now) { return dotsctl::member(now, "status") != nullptr; });
    return took;
  }

  base::Result<void> until(std::uint64_t mid, base::Duration patience,
                           const std::function<bool(const boost::json::value&)>& reached) const {
    boost::json::value last;
    for (const base::SteadyTime end = steady_now() + patience; steady_now() < end;) {
      const auto shown = dotsctl::call_api(daemon->socket(), "show", {{"mid", mid}});
      if (!shown.reached) return base::Error{shown.why};
      const auto* now = dotsctl::member(shown.body, "mitigation");
      if (now != nullptr && reached(*now)) return {};
      last = shown.body;
      std::this_thread::sleep_for(20ms);
    }
    return base::Error{boost::json::serialize(last)};
  }
};

base::Result<void> write_file(const std::string& name, const std::string& text) {
  std::ofstream out{name, std::ios::binary};
  std::error_code error;
  fs::permissions(name, fs::perms::owner_read | fs::perms::owner_write, error);
  out << text;
  out.close();
  if (!out || error) return base::Error{"cannot write '" + name + "'"};
  return {};
}

base::Result<Client> start_client(Rig& rig, const model::SocketAddress& server, std::size_t domain) {
  const auto file = [&](const std::string& name) { return rig.set().file(fmt::format("client-{}{}", domain, name)); };
  const auto& psk = rig.set().psk(domain);
  const std::string state = file("");
  std::error_code error;
  fs::create_directory(state, error);
  if (!error) fs::permissions(state, fs::perms::owner_all, error);
  if (error) return base::Error{"cannot make '" + state + "': " + error.message()};
  auto written = write_file(file(".psk"), psk.identity + ":" + base::to_hex(psk.key) + "\n");
  if (written) {
    written = write_file(file(".toml"), fmt::format(R"(role = "client"
[credentials]
psk_file = "{}"
[store]
state_dir = "{}"
[[upstream]]
name = "bench"
host = "localhost"
addresses = ["{}"]
)",
                                                    file(".psk"), state, model::to_string(server)));
  }
  if (!written) return written.error();
  auto daemon = Daemon::start(rig.options().dotsd, file(".toml"), state + "/dotsd.sock", file(".log"));
  if (!daemon) return daemon.error();
  return Client{domain, std::move(*daemon), rig.options().quick ? base::Duration::zero() : kPause};
}

// All clients at once, each with one request at a time.
base::Result<std::vector<base::Duration>> ask_all(std::vector<Client>& clients, std::uint64_t requests) {
  std::mutex mutex;  // guards the two
  std::vector<base::Duration> times;
  std::optional<base::Error> failure;
  std::vector<std::thread> threads;
  for (Client& client : clients) {
    threads.emplace_back([&] {
      for (std::uint64_t i = 0; i < requests; ++i) {
        auto took = client.mitigate();
        const std::lock_guard lock{mutex};
        if (!took) failure = took.error();
        if (failure) return;
        times.push_back(*took);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  if (failure) return *failure;
  return times;
}

}  // namespace

base::Result<Rows> loss_rows(const RunOptions& options, const std::string& self) {
  if (!options.wants("loss")) return Rows{};
  say("loss");
  auto rig = Rig::make(options, self, {.domains = options.loss_clients});
  if (!rig) return rig.error();
  if (auto started = (*rig)->start_daemon(); !started) return started.error();
  auto relay = Relay::start((*rig)->set().server(), kOneWay, 70);
  if (!relay) return relay.error();
  std::vector<Client> clients;
  for (std::size_t i = 1; i <= options.loss_clients; ++i) {
    auto client = start_client(**rig, (*relay)->address(), i);
    if (!client) return client.error();
    clients.push_back(std::move(*client));
  }
  Row calm{.name = "request acknowledged, RTT 50 ms"};
  Row row{.name = fmt::format("... at {} % loss each way", kLossPercent),
          .goals = {at_most_ms(Figure::p99_ms, kP99Ms)}};
  // The first brings the session as well.
  if (auto first = ask_all(clients, 1); !first) return base::Error{calm.name + ": " + first.error().message};
  const auto measured = [&](Row& into, std::uint64_t requests) -> base::Result<void> {
    const base::SteadyTime begin = steady_now();
    auto times = ask_all(clients, requests);
    if (!times) return base::Error{into.name + ": " + times.error().message};
    const auto count = static_cast<double>(times->size());
    into.samples.push_back({0, std::chrono::duration<double>(steady_now() - begin).count(), count, std::move(*times)});
    const Percentiles found = into.latency();
    say(fmt::format("  {:<36} p50 {:.0f} ms, p95 {:.0f} ms, p99 {:.0f} ms", into.name, found.p50_us / 1000,
                    found.p95_us / 1000, found.p99_us / 1000));
    return {};
  };
  if (auto done = measured(calm, options.quick ? 1 : kUnmeasured); !done) return done.error();
  const std::uint64_t carried = (*relay)->carried();
  const std::uint64_t lost = (*relay)->lost();
  (*relay)->lose_percent(kLossPercent);
  auto done = measured(row, options.loss_requests);
  (*relay)->lose_percent(0);
  if (!done) return done.error();
  const auto gone = static_cast<double>((*relay)->lost() - lost);
  const auto through = static_cast<double>((*relay)->carried() - carried);
  row.note = fmt::format("{} clients, {:.0f} % of {:.0f} datagrams lost", clients.size(), 100 * gone / (gone + through),
                         gone + through);
  Rows rows;
  rows.push_back(std::move(calm));
  rows.push_back(std::move(row));
  return rows;
}

}  // namespace dots::bench
