#include "tests/sim/oracle.h"

#include <algorithm>
#include <utility>

#include "mitigation/plan.h"
#include "wire/messages.h"
#include "wire/uri_path.h"

namespace dots::sim {

using model::MitigationStatus;
using ports::MitigationKey;

namespace {

// Between a decision and the moment when it is durable, commits may stall and clocks are read twice.
constexpr base::Duration kSlack = std::chrono::seconds{2};
// RFC 9132 4.4.2.1: one notification for each 3 s towards a peer. A store that stalls lets some wait and leave
// together.
constexpr base::Duration kNotificationSpacing = std::chrono::seconds{3};
constexpr base::Duration kNotificationBurst = std::chrono::seconds{12};

bool same_client(const MitigationKey& a, const MitigationKey& b) { return a.domain == b.domain && a.cuid == b.cuid; }

bool share_an_address(const std::vector<model::Prefix>& a, const std::vector<model::Prefix>& b) {
  for (const auto& one : a) {
    for (const auto& other : b) {
      if (one.overlaps(other)) return true;
    }
  }
  return false;
}

}  // namespace

std::string to_string(const MitigationKey& key) {
  return key.domain.value + "/" + key.cuid.value + "/mid=" + std::to_string(key.mid.value);
}

void Oracle::server_received(const model::Path& path, const std::string& domain, base::ByteView plaintext) {
  const auto message = wire::parse(plaintext);
  if (!message || !message->is_request()) return;
  const base::SteadyTime now = world_.timeline->now();
  Request& request = sessions_[path].requests.try_emplace(message->token, Request{{}, {}, now, now, 0}).first->second;
  // What was asked long ago and is not answered by now was answered together with a repeat.
  if (now - request.last > std::chrono::seconds{20}) request.open = 0;
  request.last = now;
  ++request.open;
  request.method = static_cast<wire::Method>(message->code);
  std::vector<std::string> segments;
  for (const auto& option : message->options) {
    if (option.number == static_cast<std::uint16_t>(wire::OptionNumber::uri_path)) {
      segments.emplace_back(base::as_text(option.value));
    }
  }
  const auto parsed = wire::parse_path(segments);
  const auto* mitigate = parsed ? std::get_if<wire::MitigatePath>(&*parsed) : nullptr;
  if (mitigate == nullptr || !mitigate->cuid || !mitigate->mid) return;
  request.key = MitigationKey{base::DomainId{domain}, *mitigate->cuid, *mitigate->mid};
  if (request.method == wire::Method::put) put_seen_[*request.key] = now;
  if (request.method == wire::Method::del) delete_seen_[*request.key] = now;
}

void Oracle::server_sent(const model::Path& path, const std::string& domain, base::ByteView plaintext) {
  const auto message = wire::parse(plaintext);
  if (!message || !message->is_response()) return;
  Session& session = sessions_[path];
  const auto it = session.requests.find(message->token);
  const std::string what =
      "to " + model::to_string(path.peer) + ": " + model::to_string(static_cast<model::ResponseCode>(message->code));
  if (it == session.requests.end()) return world_.fail(what + " answers nothing that was asked");
  const base::SteadyTime now = world_.timeline->now();
  const bool observed = std::any_of(message->options.begin(), message->options.end(), [](const auto& option) {
    return option.number == static_cast<std::uint16_t>(wire::OptionNumber::observe);
  });
  // What comes without a question that is open is a notification.
  Request& request = it->second;
  if (observed && request.open == 0) {
    session.paid_until = std::max(session.paid_until, now - kNotificationBurst) + kNotificationSpacing;
    if (session.paid_until > now) world_.fail(what + ": a storm of notifications");
    world_.coverage->took("observe", "notified");
  } else {
    check_answer(request, *message, what);
    request.open = std::max(0, request.open - 1);
  }
  check_entries(domain, *message, what);
}

// Durable before visible: what a success code promises is on the disk when it leaves.
void Oracle::check_answer(const Request& request, const wire::Message& message, const std::string& what) {
  if (!request.key) return;
  const auto code = static_cast<model::ResponseCode>(message.code);
  const auto stored = stored_.find(*request.key);
  const auto on_disk = world_.disk->mitigations.find(*request.key);
  if (request.method == wire::Method::put && model::is_success(code)) {
    world_.coverage->took("answer", "PUT " + model::to_string(code));
    if (stored == stored_.end() || stored->second.at < request.first) {
      world_.fail(what + " promises " + to_string(*request.key) + ", which nothing has stored");
    }
  } else if (request.method == wire::Method::del && code == model::ResponseCode::deleted) {
    world_.coverage->took("answer", "DELETE 2.02");
    const bool runs =
        on_disk != world_.disk->mitigations.end() && on_disk->second.status != MitigationStatus::client_withdrawn;
    if (runs && stored->second.at < request.first) {
      world_.fail(what + " says that " + to_string(*request.key) + " is withdrawn, but the disk has it running");
    }
  } else if (!model::is_success(code)) {
    world_.coverage->took("answer", std::string(request.method == wire::Method::put   ? "PUT "
                                                : request.method == wire::Method::del ? "DELETE "
                                                                                      : "GET ") +
                                        model::to_string(code));
  }
}

void Oracle::check_entries(const std::string& domain, const wire::Message& message, const std::string& what) {
  if (message.code != static_cast<std::uint8_t>(model::ResponseCode::content) || message.payload.empty()) return;
  const auto entries = wire::decode_mitigation_answer(message.payload);
  if (!entries) return;  // a heartbeat's answer, or a block
  const auto& owned = world_.domains.at(domain).prefixes;
  for (const auto& entry : *entries) {
    if (!entry.scope) continue;
    for (const auto& target : entry.scope->target_prefix) {
      if (std::none_of(owned.begin(), owned.end(), [&](const auto& prefix) { return prefix.contains(target); })) {
        world_.fail(what + " shows " + domain + " a target of another domain: " + model::to_string(target));
      }
    }
  }
}

void Oracle::server_commits(const std::vector<ports::Change>& changes) {
  for (const auto& change : changes) {
    if (const auto* one = std::get_if<ports::PutMitigation>(&change)) put(one->record, changes);
    if (const auto* one = std::get_if<ports::EraseMitigation>(&change)) erase(one->key, changes);
  }
}

void Oracle::server_started() {
  for (auto& [key, state] : shown_) {
    if (state == "2") state = "1";  // what the back end said last is not stored
  }
}

bool Oracle::is_over(const ports::MitigationRecord& record) const {
  if (!record.deadline) return false;
  const auto stored = stored_.find({record.domain, record.cuid, record.mid});
  // After a step of the clock that nobody could write down the stored deadline says nothing.
  if (stored == stored_.end() || stored->second.clock_offset != world_.server_clock->offset) return true;
  return world_.server_clock->at(world_.timeline->now()).wall >= *record.deadline - kSlack;
}

void Oracle::took(const MitigationKey& key, const std::string& to) {
  std::string& from = shown_[key];
  if (from.empty()) from = "none";
  if (from != to) world_.coverage->took("mitigation", from + " -> " + to);
  from = to;
}

void Oracle::put(const ports::MitigationRecord& record, const std::vector<ports::Change>& batch) {
  const MitigationKey key{record.domain, record.cuid, record.mid};
  const auto now = world_.timeline->now();
  const auto found = world_.disk->mitigations.find(key);
  const bool fresh = found == world_.disk->mitigations.end();
  const auto before = fresh ? std::nullopt : std::optional(found->second.status);
  const bool runs = record.status == MitigationStatus::in_progress;

  if (fresh && !put_seen_.contains(key)) world_.fail(to_string(key) + " is stored, but nobody asked for it");
  if ((fresh || before == MitigationStatus::client_withdrawn) && runs && forgotten_.contains(key)) {
    const auto ago = [&](base::SteadyTime at) {
      return std::to_string(std::chrono::duration<double>(now - at).count());
    };
    world_.fail(to_string(key) + " was withdrawn, and is back: status " + (fresh ? "none" : "5") + " -> 1; PUT came " +
                ago(put_seen_[key]) + " s ago, DELETE " + ago(delete_seen_[key]) + " s ago");
  }
  if (record.status == MitigationStatus::client_withdrawn && !fresh && before != record.status) {
    // A deadline that the same batch has written anew after a step of the clock is the one that counts.
    const ports::MitigationRecord* last = &found->second;
    for (const auto& change : batch) {
      const auto* earlier = std::get_if<ports::PutMitigation>(&change);
      if (earlier == nullptr) continue;
      if (&earlier->record == &record) break;
      if (MitigationKey{earlier->record.domain, earlier->record.cuid, earlier->record.mid} == key)
        last = &earlier->record;
    }
    if (!delete_seen_.contains(key) && !is_over(*last)) {
      world_.fail(to_string(key) + " is being terminated, but nobody withdrew it and its time is not over");
    }
  }
  for (const auto& target : record.expanded) {
    const auto& owned = world_.domains.at(record.domain.value).prefixes;
    if (std::none_of(owned.begin(), owned.end(), [&](const auto& prefix) { return prefix.contains(target); })) {
      world_.fail(to_string(key) + " is about " + model::to_string(target) + ", which the domain does not own");
    }
  }
  // Of two overlapping requests of a client and trigger type only the higher mid may be there.
  if (fresh && runs) {
    for (const auto& there : world_.disk->mitigations) {
      const auto& other = there.first;
      const auto& old = there.second;
      if (!same_client(other, key) || other.mid == key.mid || old.status != MitigationStatus::in_progress) continue;
      // Preconfigured ones that run are settled among the two types by policy (RFC 9132 4.4.1.3).
      if (old.request.trigger_mitigation != record.request.trigger_mitigation) continue;
      if (!share_an_address(old.expanded, record.expanded)) continue;
      const bool goes = std::any_of(batch.begin(), batch.end(), [&](const auto& change) {
        const auto* gone = std::get_if<ports::EraseMitigation>(&change);
        if (gone != nullptr) return gone->key == other;
        const auto* put = std::get_if<ports::PutMitigation>(&change);
        return put != nullptr && put->record.domain == other.domain && put->record.cuid == other.cuid &&
               put->record.mid == other.mid && put->record.status == MitigationStatus::client_withdrawn;
      });
      if (!goes) world_.fail(to_string(key) + " is stored beside " + to_string(other) + ", which it overlaps");
    }
  }
  stored_[key] = {now, world_.server_clock->offset, record.status};
  const std::string status = std::to_string(static_cast<int>(record.status));
  if (!(status == "1" && shown_[key] == "2")) took(key, status);
}

void Oracle::erase(const MitigationKey& key, const std::vector<ports::Change>& batch) {
  const auto found = world_.disk->mitigations.find(key);
  if (found == world_.disk->mitigations.end()) {
    // Made and replaced within one batch: it was never there. A batch whose fate nobody knew may come twice.
    const bool made = std::any_of(batch.begin(), batch.end(), [&](const auto& change) {
      const auto* put = std::get_if<ports::PutMitigation>(&change);
      return put != nullptr && MitigationKey{put->record.domain, put->record.cuid, put->record.mid} == key;
    });
    if (!made && !stored_.contains(key)) world_.fail(to_string(key) + " is erased, but the disk never had it");
    took(key, "none");
    return;
  }
  const ports::MitigationRecord& old = found->second;
  // Its deadline was written anew after a step of the clock, and it is over by that one: judged by the same batch.
  const bool rewritten = std::any_of(batch.begin(), batch.end(), [&](const auto& change) {
    const auto* put = std::get_if<ports::PutMitigation>(&change);
    return put != nullptr && MitigationKey{put->record.domain, put->record.cuid, put->record.mid} == key;
  });
  const bool replaced = std::any_of(batch.begin(), batch.end(), [&](const auto& change) {
    const auto* put = std::get_if<ports::PutMitigation>(&change);
    if (put == nullptr) return false;
    const MitigationKey by{put->record.domain, put->record.cuid, put->record.mid};
    return same_client(by, key) && by.mid != key.mid &&
           (by.mid > key.mid || old.status == MitigationStatus::client_withdrawn) &&
           (share_an_address(put->record.expanded, old.expanded) || !old.request.scope.target_fqdn.empty());
  });
  // The signal is lost: a preconfigured request that starts goes before immediate ones (RFC 9132 4.4.1.3).
  const bool overtaken =
      old.request.trigger_mitigation && std::any_of(batch.begin(), batch.end(), [&](const auto& change) {
        const auto* put = std::get_if<ports::PutMitigation>(&change);
        if (put == nullptr || put->record.request.trigger_mitigation) return false;
        const MitigationKey by{put->record.domain, put->record.cuid, put->record.mid};
        const auto before = world_.disk->mitigations.find(by);
        return same_client(by, key) && put->record.status == MitigationStatus::in_progress &&
               before != world_.disk->mitigations.end() && before->second.status == MitigationStatus::signal_loss &&
               (share_an_address(put->record.expanded, old.expanded) || !old.request.scope.target_fqdn.empty());
      });
  const bool withdrawn = withdrawn_by_operator_.contains(key) || overtaken;
  const bool armed = old.status == MitigationStatus::signal_loss;
  // Neither those that wait nor those that lost a conflict have a terminating period.
  const bool idle = armed || old.status == MitigationStatus::withdrawn;
  const bool idle_withdrawn = idle && delete_seen_.contains(key);
  // A batch may hold the DELETE and the end of an old period, or the whole life of a short one.
  if (!replaced && !withdrawn && !idle_withdrawn && !rewritten && !is_over(old)) {
    world_.fail(
        to_string(key) + " with status " + std::to_string(static_cast<int>(old.status)) +
        " is erased before its time: not replaced, not withdrawn by the operator, " +
        std::to_string(base::whole_seconds(*old.deadline - world_.server_clock->at(world_.timeline->now()).wall)) +
        " s are left");
  }
  took(key, replaced ? "replaced" : withdrawn ? "7" : idle ? "none" : "6");
  shown_.erase(key);
}

void Oracle::reported(const MitigationKey& key, const char* state) {
  const auto it = shown_.find(key);
  if (it == shown_.end() || (it->second != "1" && it->second != "2")) return;
  took(key, std::string{state} == "installed" ? "2" : "1");
}

void Oracle::wanted(const signal::server::DesiredRules& rules) {
  for (const auto& want : rules.wants) {
    const MitigationKey key{want.owner.domain, want.owner.cuid, want.owner.mid};
    const auto found = world_.disk->mitigations.find(key);
    const bool there = found != world_.disk->mitigations.end();
    if (!want.parts.empty() && !there && !stored_.contains(key)) {
      world_.fail("rules are wanted for " + to_string(key) + ", which is not durable");
    }
    if (want.parts.empty() && there && found->second.status == MitigationStatus::in_progress &&
        !is_over(found->second) && !withdrawn_by_operator_.contains(key) &&
        stored_.at(key).at != world_.timeline->now()) {  // what was stored this moment is wished for in the same breath
      world_.fail("no rules are wanted for " + to_string(key) + ", which runs by the disk");
    }
  }
}

std::map<model::RuleMatch, std::set<model::RuleOwner>> Oracle::rules_of_disk() const {
  std::map<model::RuleMatch, std::set<model::RuleOwner>> all;
  for (const auto& [key, record] : world_.disk->mitigations) {
    // Those that wait for a loss of the signal, and those that lost a conflict, have no rules.
    if (record.status == MitigationStatus::signal_loss || record.status == MitigationStatus::withdrawn) continue;
    const auto& policy = world_.domains.at(key.domain.value);
    for (const auto& rule : mitigation::plan(record.request.scope, record.expanded, policy)) {
      all[rule.match].insert({key.domain, key.cuid, key.mid});
    }
  }
  return all;
}

void Oracle::removing(const model::Rule& rule) {
  const auto all = rules_of_disk();
  const auto found = all.find(rule.match);
  if (found == all.end()) return;
  for (const auto& owner : found->second) {
    const MitigationKey key{owner.domain, owner.cuid, owner.mid};
    if (is_over(world_.disk->mitigations.at(key)) || withdrawn_by_operator_.contains(key)) continue;
    world_.fail("the rule " + model::to_string(rule) + " goes while " + to_string(key) + " still needs it");
  }
}

}  // namespace dots::sim
