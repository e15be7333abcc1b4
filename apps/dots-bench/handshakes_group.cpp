#include <fmt/format.h>

#include <utility>

#include "adapters/net/ticket_cache.h"
#include "dots-bench/groups.h"

namespace dots::bench {
namespace {

constexpr double kHandshakeGoal = 0.9;
constexpr const char* kBare = "bare GnuTLS";

// One kind of handshake: ours and the bare one in turns.
base::Result<void> kind(Rig& rig, const std::string& credential, const std::vector<ClientCredentials>& clients,
                        bool resumed, Rows& rows) {
  const char* how = resumed ? "resumed" : "full";
  Row bare{.name = fmt::format("bare GnuTLS handshake, {}", how), .credential = credential};
  Row ours{.name = fmt::format("handshake, {}", how),
           .credential = credential,
           .reference = kBare,
           .goals = {ratio_at_least(kHandshakeGoal, kBare)}};
  OpenOptions to_dotsd;
  to_dotsd.server = rig.set().server();
  to_dotsd.credentials = clients;
  to_dotsd.sessions = rig.options().handshakes;
  to_dotsd.in_flight = rig.options().handshakes_in_flight;
  to_dotsd.keep = false;
  OpenOptions to_bare = to_dotsd;
  to_bare.server = rig.dtls_echo().address;
  if (resumed) {
    // A ticket is worth something to the server that gave it alone.
    to_dotsd.tickets = std::make_shared<adapters::net::TicketCache>();
    to_bare.tickets = std::make_shared<adapters::net::TicketCache>();
  }
  for (std::size_t round = 0; round < rig.options().rounds; ++round) {
    auto measured = measure_handshakes(rig.daemon().process(), &rig.daemon(), to_dotsd);
    if (!measured) return base::Error{ours.name + " (" + credential + "): " + measured.error().message};
    auto reference = measure_handshakes(*rig.dtls_echo().process, nullptr, to_bare);
    if (!reference) return base::Error{bare.name + " (" + credential + "): " + reference.error().message};
    ours.ratios.push_back(measured->per_cpu_s() / reference->per_cpu_s());
    say(fmt::format("  {:<36} {:>9.0f}/cpu s, {} {:>9.0f}/cpu s", ours.name + ", " + credential, measured->per_cpu_s(),
                    kBare, reference->per_cpu_s()));
    ours.samples.push_back(std::move(*measured));
    bare.samples.push_back(std::move(*reference));
  }
  rows.push_back(std::move(bare));
  rows.push_back(std::move(ours));
  return {};
}

}  // namespace

base::Result<Rows> handshake_rows(Rig& rig) {
  if (!rig.options().wants("handshake")) return Rows{};
  say("handshakes");
  if (auto started = rig.start_daemon(); !started) return started.error();
  const auto psk = rig.set().one_client();
  if (!psk) return psk.error();
  const auto x509 = rig.set().x509_client();
  if (!x509) return x509.error();
  Rows rows;
  for (const bool resumed : {false, true}) {
    for (const auto& [name, clients] : {std::pair{"psk", *psk}, std::pair{"x509", *x509}}) {
      if (auto done = kind(rig, name, clients, resumed, rows); !done) return done.error();
    }
  }
  return rows;
}

}  // namespace dots::bench
