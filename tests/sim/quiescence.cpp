// The end of a simulation: all faults are over, everything has had its time, and nothing may be left hanging.
#include <algorithm>
#include <set>

#include "tests/sim/simulation.h"

namespace dots::sim {

void Simulation::quiesce() {
  tell("--- all faults end");
  timeline_.run_until(began_ + std::chrono::seconds{scenario_.setting("length_s")});
  for (auto& [name, one] : clients_) check_dark(*one);
  network_.all_well();
  back_end_faults_ = hand_over_full_ = hand_over_delay_s_ = names_fail_ = 0;
  crash_at_.clear();
  redirect({"redirect", "end"});
  for (auto& site : sites_) {
    site->store_faults = site->store_delay_s = 0;
    site->back_end.down = false;
    start_server(*site);
  }
  for (auto& [name, one] : clients_) {
    one->store_faults = one->store_delay_s = 0;
    start_client(*one);
  }
  // A dead session is noticed, the next attempt comes, what waits for five minutes is asked again, periods end.
  const auto heartbeats = scenario_.setting("heartbeat_s") * (scenario_.setting("missing_hb_allowed") + 3);
  if (!timeline_.run_for(std::chrono::seconds{heartbeats + scenario_.setting("reconnect_s") + 300 + 300 + 60})) {
    fail("time stands still");
  }
}

void Simulation::check_end() {
  // A refresh or a report may be on its way at the very moment: what is wrong stays wrong for seconds.
  for (int attempt = 1; failure_.empty(); ++attempt) {
    for (auto& site : sites_) {
      if (!site->node) return fail("the " + site->name + " is not there at the end");
      if (failure_.empty()) check_server_end(*site);
    }
    for (auto& [name, one] : clients_) {
      if (failure_.empty()) check_client_end(*one);
    }
    if (failure_.empty() || attempt == 4) return;
    failure_.clear();
    timeline_.run_for(std::chrono::milliseconds{1300});
  }
}

namespace {

std::string differences(const ports::MitigationRecord& memory, const ports::MitigationRecord& disk) {
  std::string text;
  if (memory.status != disk.status) {
    text += " status " + std::to_string(static_cast<int>(memory.status)) + "/" +
            std::to_string(static_cast<int>(disk.status));
  }
  if (memory.deadline != disk.deadline) text += " deadline";
  if (memory.granted != disk.granted) text += " granted";
  if (memory.expanded != disk.expanded) text += " expanded";
  if (memory.request != disk.request) text += " request";
  return text;
}

}  // namespace

// Memory, disk and back end say the same.
void Simulation::check_server_end(Site& site) {
  if (site.node->busy()) fail("a commit never ends");
  if (site.node->handshakes() != 0) fail("a handshake never ends");
  std::set<ports::MitigationKey> in_memory;
  for (auto view : site.node->mitigations()) {
    // What the back end says makes 1 or 2 of "running"; the disk knows only that it runs.
    if (view.record.status == model::MitigationStatus::successfully_mitigated) {
      view.record.status = model::MitigationStatus::in_progress;
    }
    // Why a preconfigured request waits again is told for a while (RFC 9132 Table 3); the disk knows that it waits.
    if (!view.record.request.trigger_mitigation && (view.record.status == model::MitigationStatus::withdrawn ||
                                                    view.record.status == model::MitigationStatus::attack_stopped)) {
      view.record.status = model::MitigationStatus::signal_loss;
    }
    const ports::MitigationKey key{view.record.domain, view.record.cuid, view.record.mid};
    in_memory.insert(key);
    const auto stored = site.parts.disk->mitigations.find(key);
    if (stored == site.parts.disk->mitigations.end()) return fail(to_string(key) + " is in memory only");
    if (stored->second != view.record) {
      return fail(to_string(key) + " differs between memory and disk:" + differences(view.record, stored->second));
    }
    const bool runs = view.record.status == model::MitigationStatus::in_progress;
    if (runs && view.rules != signal::server::RulesReport::State::installed) {
      return fail(to_string(key) +
                  " runs, but the server does not know that its rules are installed: " + view.rules_reason);
    }
  }
  for (const auto& [key, record] : site.parts.disk->mitigations) {
    if (!in_memory.contains(key)) return fail(to_string(key) + " is on the disk only");
  }
  if (!site.node->runner().settled()) return fail("the reconciler has not come to rest");
  const auto wanted = site.oracle->rules_of_disk();
  for (const auto& [match, owners] : wanted) {
    if (!site.back_end.rules.contains(match)) {
      return fail("a rule of " + owners.begin()->domain.value + "/" + owners.begin()->cuid.value +
                  "/mid=" + std::to_string(owners.begin()->mid.value) + " is not installed");
    }
  }
  for (const auto& [match, installed] : site.back_end.rules) {
    if (!wanted.contains(match)) return fail("nobody can explain the rule " + model::to_string(installed.rule));
  }
}

// Is there a request of another client of the domain that runs, or that is kept out by this one as well?
bool Simulation::somebody_contends(const Site& site, const ports::MitigationRecord& record) {
  for (const auto& view : site.node->mitigations()) {
    const auto& other = view.record;
    if (other.domain != record.domain || other.cuid == record.cuid) continue;
    if (other.status == model::MitigationStatus::client_withdrawn) continue;
    for (const auto& target : other.expanded) {
      if (std::any_of(record.expanded.begin(), record.expanded.end(),
                      [&](const auto& own) { return own.overlaps(target); }))
        return true;
    }
  }
  return false;
}

// Client and server agree about every request, and about the session.
void Simulation::check_client_end(Client& one) {
  const auto status = one.node->ask("status");
  const auto body = one.node->ask("list");
  if (status.is_null() || body.is_null()) return fail(one.name + " does not answer its operator");
  std::size_t open = 0;
  for (const auto& server : status.at("servers").as_array()) {
    if (server.at("state") != "connected") return fail(one.name + " has no session at the end");
    if (scenario_.setting("negotiate") != 0) {
      const std::string configuration{server.at("configuration").as_string()};
      coverage_.took("configuration", configuration);
      if (configuration != "agreed" && server.at("requests") == 0)
        return fail(one.name + "'s session configuration is " + configuration + " though no attack is in the way");
    }
    for (const auto& session : server.at("sessions").as_array()) open += session.at("state") == "open" ? 1 : 0;
  }
  std::size_t alive = 0;
  for (const auto& site : sites_) {
    for (const auto& session : site->node->sessions()) {
      if (!session.lost && network_.owner(session.path.peer) == one.name) ++alive;
    }
  }
  if (alive != open) {
    return fail(one.name + " has " + std::to_string(open) + " live sessions, the servers see " + std::to_string(alive));
  }

  // A request is at the server that its client has it at; with Max-Age 0 single ones are at the alternate.
  const auto& upstream = status.at("servers").as_array().front().as_object();
  const auto* away = upstream.if_contains("redirect");
  std::set<std::uint32_t> moved;
  if (away != nullptr) {
    if (const auto* mids = away->as_object().if_contains("mids")) {
      for (const auto& mid : mids->as_array()) moved.insert(mid.to_number<std::uint32_t>());
    }
  }
  const auto site_of = [&](std::uint32_t mid) -> const Site& {
    return away != nullptr && (moved.empty() || moved.contains(mid)) ? *sites_.back() : home();
  };
  std::map<std::uint32_t, signal::server::MitigationView> at_server;
  for (const auto& site : sites_) {
    for (const auto& view : site->node->mitigations()) {
      if (view.record.cuid.value != "cuid-" + one.name || site.get() != &site_of(view.record.mid.value)) continue;
      if (view.record.status == model::MitigationStatus::client_withdrawn) continue;
      at_server.emplace(view.record.mid.value, view);
    }
  }
  const bool short_of_room = scenario_.setting("max_mitigations") < 10;
  for (const auto& entry : body.at("mitigations").as_array()) {
    const auto& request = entry.as_object();
    const auto mid = request.at("mid").to_number<std::uint32_t>();
    const std::string phase{request.at("phase").as_string()};
    const std::string what = one.name + "'s request " + std::to_string(mid);
    if (phase == "ended" || phase == "refused") continue;
    const bool contends =
        request.contains("reason") && request.at("reason").as_string().find("conflict (") != std::string::npos;
    if (contends) coverage_.took("conflict", phase);
    if (phase != "active") {
      const auto kept = at_server.find(mid);
      const bool lost = kept == at_server.end() || kept->second.record.status == model::MitigationStatus::withdrawn;
      if (contends && phase == "waiting" && lost) {
        // Whoever it lost against is there, or went so short a time ago that the client may not ask again yet.
        if (kept != at_server.end()) {
          if (!somebody_contends(site_of(mid), kept->second.record)) return fail(what + " is kept out by nobody");
          at_server.erase(kept);
        }
        continue;
      }
      if (short_of_room && !at_server.contains(mid) && (phase == "waiting" || phase == "requesting")) continue;
      return fail(what + " is still " + phase + " at the end: " +
                  (request.contains("reason") ? std::string(request.at("reason").as_string()) : "for no reason"));
    }
    const auto found = at_server.find(mid);
    if (found == at_server.end()) return fail(what + " is active for the client and unknown to the server");
    const auto& record = found->second.record;
    const std::string shown{request.contains("status") ? request.at("status").as_string() : "nothing"};
    const model::MitigationStatus expected = record.status;
    if (shown != model::name_of(expected)) {
      return fail(what + " is " + std::string(model::name_of(expected)) + ", but the client was told " + shown);
    }
    if (request.contains("lifetime") && found->second.remaining) {
      const auto left = request.at("lifetime").to_number<std::int64_t>();
      const auto granted = static_cast<std::int64_t>(base::whole_seconds(*found->second.remaining));
      if (left > granted + 5 || left < granted - 5) {
        return fail(what + " has " + std::to_string(granted) + " s left at the server, " + std::to_string(left) +
                    " s by the client");
      }
    }
    at_server.erase(found);
  }
  // What a client has left behind at a server that sent it away ends with its lifetime (RFC 9132 4.6).
  if (!at_server.empty() && !one.was_redirected) {
    fail("the server mitigates " + one.name + "'s request " + std::to_string(at_server.begin()->first) +
         ", which the client does not want");
  }
}

}  // namespace dots::sim
