#include "tests/net/lossy_world.h"

#include <algorithm>
#include <deque>
#include <random>
#include <stdexcept>
#include <utility>

namespace dots::test {
namespace {

using namespace std::chrono_literals;
namespace net = adapters::net;

constexpr char kServer[] = "server.example";
base::SteadyTime virtual_now;  // of the channels: they are handed a plain function
base::SteadyTime read_virtual_now() { return virtual_now; }

base::WallTime wall_now() { return base::WallTime{std::chrono::system_clock::now().time_since_epoch()}; }

std::shared_ptr<const net::Credentials> load(const net::CredentialSources& sources, net::Side side) {
  auto loaded = net::Credentials::load(sources, side, wall_now());
  if (!loaded) throw std::runtime_error{to_string(loaded.error().front())};
  return *loaded;
}

// One client, one server, and the path between them.
class World {
 public:
  World(const Proofs& proofs, const TrialSettings& settings, std::uint64_t seed)
      : settings_(settings), random_(seed), wall_(wall_now()) {
    virtual_now = base::SteadyTime{1000s};
    net::DtlsOptions server;
    server.pace = settings.server_pace;
    server.clock = read_virtual_now;
    auto keys = net::TicketKeys::open("", {}, 24h, wall_, [](const std::string&) { return base::Result<void>{}; });
    if (!keys) throw std::runtime_error{keys.error().message};
    server.resumption.keys = *keys;
    admission_ = std::make_unique<agent::AdmissionTable>(
        std::make_shared<net::DtlsAdmission>(proofs.of(settings.proof).server, server),
        agent::AdmissionLimits{.handshake_time = settings.server_patience});

    net::DtlsOptions client;
    client.pace = settings.client_pace;
    client.clock = read_virtual_now;
    client.resumption.tickets = std::make_shared<net::TicketCache>();
    connector_ = std::make_unique<net::DtlsConnector>(proofs.of(settings.proof).client, client);
    if (settings.proof == Proof::resumed) {
      lossless_ = true;
      make_client(seed);
      run(10s);
      upstream_->close_all(out_);
      advance(1s);
      lossless_ = false;
    }
    begun_ = virtual_now;
    outcome_ = {};
    sent_at_.clear();
    make_client(seed + 1);
  }

  Outcome connect() {
    if (run(settings_.patience)) outcome_.took = virtual_now - begun_;
    outcome_.most_in_a_second = most_in_a_second();
    return outcome_;
  }

 private:
  struct Carried {
    model::Path path;
    base::SessionId session;
    bool to_server = false;
    base::Bytes bytes;
  };

  base::Now now() const { return {virtual_now, wall_ + (virtual_now - base::SteadyTime{1000s})}; }

  void make_client(std::uint64_t seed) {
    agent::client::UpstreamSettings upstream;
    upstream.name = "upstream";
    upstream.host = kServer;
    upstream.addresses = {{*model::parse_ip_address("192.0.2.1"), 4646}};
    upstream.tcp = false;
    open_at_client_.clear();
    open_at_server_.clear();
    upstream_ = std::make_unique<agent::client::Upstream>(upstream, agent::client::Connectors{*connector_}, ids_, seed);
    upstream_->set_need(settings_.under_attack, settings_.under_attack, virtual_now, out_);
    upstream_->start(virtual_now, out_);
    take_client();
  }

  bool done() const {
    return std::any_of(open_at_client_.begin(), open_at_client_.end(), [&](std::uint16_t port) {
      return std::find(open_at_server_.begin(), open_at_server_.end(), port) != open_at_server_.end();
    });
  }

  bool run(base::Duration patience) {
    const base::SteadyTime end = virtual_now + patience;
    while (!done()) {
      if (!step(end)) return false;
    }
    return true;
  }
  void advance(base::Duration time) {
    const base::SteadyTime end = virtual_now + time;
    while (step(end)) {
    }
  }

  // The next thing that happens; false when nothing does before `end`.
  bool step(base::SteadyTime end) {
    std::optional<base::SteadyTime> at = upstream_->next_deadline(virtual_now);
    for (const auto& other : {admission_->next_deadline(), sessions_.next_deadline()}) {
      if (other && (!at || *other < *at)) at = other;
    }
    if (!carried_.empty() && (!at || carried_.begin()->first <= *at)) {
      if (carried_.begin()->first > end) return false;
      virtual_now = std::max(virtual_now, carried_.begin()->first);
      Carried one = std::move(carried_.begin()->second);
      carried_.erase(carried_.begin());
      deliver(std::move(one));
      return true;
    }
    if (!at || *at > end) {
      virtual_now = end;
      return false;
    }
    virtual_now = std::max(virtual_now, *at);
    upstream_->on_timer(virtual_now, out_);
    take_client();
    agent::AdmissionEffects admission;
    admission_->on_timer(now(), admission);
    take_admission(admission);
    agent::SessionEffects sessions;
    sessions_.on_timer(now(), sessions);
    take_sessions(sessions);
    return true;
  }

  void deliver(Carried&& one) {
    if (!one.to_server) {
      upstream_->on_datagram(one.session, one.bytes, virtual_now, out_);
      return take_client();
    }
    // As the kernel sorts them (adapters/net/steering.h).
    const bool to_shard = one.bytes[0] != 22 && one.bytes[0] != 20 && (one.bytes[3] != 0 || one.bytes[4] != 0);
    if (to_shard) {
      agent::SessionEffects effects;
      sessions_.on_datagram({one.path, std::move(one.bytes)}, now(), effects);
      return take_sessions(effects);
    }
    agent::AdmissionEffects effects;
    admission_->on_datagram({one.path, std::move(one.bytes)}, now(), effects);
    take_admission(effects);
  }

  model::Path path_of(base::SessionId session) const {
    model::Path path;
    path.peer = {*model::parse_ip_address("203.0.113.7"), static_cast<std::uint16_t>(1024 + session.value)};
    path.local = {*model::parse_ip_address("192.0.2.1"), 4646};
    return path;
  }
  bool lost() { return !lossless_ && std::uniform_real_distribution<double>{0, 1}(random_) < settings_.path.loss; }

  void take_client() {
    agent::client::UpstreamOutput out = std::exchange(out_, {});
    outcome_.handshakes += out.open.size();
    for (auto& send : out.send) {
      ++outcome_.sent_by_client;
      outcome_.bytes_by_client += send.datagram.size();
      sent_at_.push_back(virtual_now);
      if (!lost()) {
        carried_.emplace(virtual_now + settings_.path.one_way,
                         Carried{path_of(send.session), send.session, true, std::move(send.datagram)});
      }
    }
    for (const auto& view : upstream_->view(virtual_now)) {
      const std::uint16_t port = path_of(view.id).peer.port;
      if (view.state == "open") open_at_client_.push_back(port);
    }
  }
  void send_to_client(std::vector<model::Datagram>&& datagrams) {
    for (auto& datagram : datagrams) {
      ++outcome_.sent_by_server;
      outcome_.bytes_by_server += datagram.bytes.size();
      const base::SessionId session{static_cast<std::uint64_t>(datagram.path.peer.port - 1024)};
      if (!lost()) {
        carried_.emplace(virtual_now + settings_.path.one_way,
                         Carried{datagram.path, session, false, std::move(datagram.bytes)});
      }
    }
  }
  void take_admission(agent::AdmissionEffects& effects) {
    send_to_client(std::move(effects.send));
    agent::SessionEffects sessions;
    for (auto& admitted : effects.admitted) sessions_.adopt(std::move(admitted), now(), sessions);
    for (auto& datagram : effects.forward) sessions_.on_datagram(datagram, now(), sessions);
    take_sessions(sessions);
  }
  void take_sessions(agent::SessionEffects& effects) {
    for (const auto& opened : effects.opened) open_at_server_.push_back(opened.path.peer.port);
    send_to_client(std::move(effects.send));
  }
  std::size_t most_in_a_second() const {
    std::size_t most = 0, first = 0;
    for (std::size_t i = 0; i < sent_at_.size(); ++i) {
      while (sent_at_[i] - sent_at_[first] >= 1s) ++first;
      most = std::max(most, i - first + 1);
    }
    return most;
  }

  TrialSettings settings_;
  std::mt19937_64 random_;
  base::WallTime wall_;
  bool lossless_ = false;
  std::uint64_t ids_ = 0;
  std::unique_ptr<agent::AdmissionTable> admission_;
  agent::SessionTable sessions_{1, agent::SessionLimits{}};
  std::unique_ptr<net::DtlsConnector> connector_;
  std::unique_ptr<agent::client::Upstream> upstream_;
  agent::client::UpstreamOutput out_;
  std::multimap<base::SteadyTime, Carried> carried_;
  std::vector<std::uint16_t> open_at_client_, open_at_server_;  // ports of the client
  std::vector<base::SteadyTime> sent_at_;
  base::SteadyTime begun_;
  Outcome outcome_;
};

}  // namespace

const char* to_string(Proof proof) {
  switch (proof) {
    case Proof::x509:
      return "X.509, ECDSA";
    case Proof::x509_rsa:
      return "X.509, RSA";
    case Proof::psk:
      return "PSK";
    case Proof::raw_key:
      return "raw key";
    case Proof::resumed:
      return "resumed";
  }
  return "";
}

Proofs::Proofs() {
  const auto certified = [](TestPki& pki) {
    const auto server = pki.issue({.name = "server", .dns = {kServer}, .through_intermediate = true});
    const auto client = pki.issue({.name = "client", .dns = {"client.example"}, .through_intermediate = true});
    const auto of = [&](const IssuedCertificate& own) {
      net::CredentialSources sources;
      sources.ca_file = pki.ca_file();
      sources.certificate_file = own.certificate_file;
      sources.key_file = own.key_file;
      return sources;
    };
    return Both{load(of(client), net::Side::client), load(of(server), net::Side::server)};
  };
  all_[Proof::x509] = certified(pki_);
  all_[Proof::x509_rsa] = certified(rsa_pki_);
  all_[Proof::resumed] = all_[Proof::x509];
  net::CredentialSources psk;
  psk.psk = {{"home", base::Bytes(16, 7)}};
  all_[Proof::psk] = {load(psk, net::Side::client), load(psk, net::Side::server)};
  const auto raw = [&](const char* name, const Both& certificates, bool client) {
    net::CredentialSources sources;
    sources.key_file = pki_.dir().path() + "/" + name + ".key";
    const auto& peer = client ? certificates.server : certificates.client;
    sources.peer_keys = {{peer->own_identity().fingerprint, client ? kServer : ""}};
    return load(sources, client ? net::Side::client : net::Side::server);
  };
  all_[Proof::raw_key] = {raw("client", all_[Proof::x509], true), raw("server", all_[Proof::x509], false)};
}

Outcome connect_under_loss(const Proofs& proofs, const TrialSettings& settings, std::uint64_t seed) {
  return World{proofs, settings, seed}.connect();
}

}  // namespace dots::test
