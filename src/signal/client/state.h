// Inside of Requests: one entry for each request, and what all steps share. Not for other rooms.
#pragma once

#include <deque>
#include <map>
#include <string>

#include "signal/client/identifiers.h"
#include "signal/client/requests.h"

namespace dots::signal::client {

struct Entry {
  ports::ClientRequestRecord record;
  Phase phase = Phase::requesting;

  // Sends that are not answered yet (the observation: not ended yet).
  std::optional<SendId> put;
  std::optional<SendId> poll;
  std::optional<SendId> observation;
  std::optional<SendId> del;
  std::optional<SendId> efficacy;

  std::optional<base::SteadyTime> expires;     // of the granted lifetime
  std::optional<base::SteadyTime> refresh_at;  // Phase::active
  std::optional<base::SteadyTime> retry_at;    // Phase::waiting, and Phase::withdrawing after an error
  std::optional<base::SteadyTime> poll_at;
  std::optional<base::SteadyTime> news_at;
  std::optional<base::SteadyTime> efficacy_after;  // the server asked to wait
  std::optional<base::SteadyTime> efficacy_ends;   // then it is given up
  std::optional<base::SteadyTime> accepted_at;
  std::optional<base::SteadyTime> asked_again_at;  // after the server had lost it

  model::AttackStatus telling{};  // by the efficacy update on its way
  std::optional<model::AttackStatus> told;
  bool deactivated = false;     // waiting because of a conflict; the server may have kept it
  bool carried = false;         // accepted by one server, not yet by the one that took over
  bool overtaken = false;       // a PUT was under way when the withdrawal began: it may arrive after the DELETE
  bool no_filter = false;       // the server does not take c=n
  bool filters_failed = false;  // waiting: asked for again with a new mid (RFC 9133 3.2.1)
  std::vector<model::AclActivation> switched;  // by the server
  std::optional<model::MitigationStatus> status;
  std::optional<std::uint64_t> mitigation_start_s;
  std::optional<model::ConflictInformation> conflict;
  model::DropCounters counters;
  std::string reason;
  // Extensions (docs/extensions.md): as in RequestView.
  std::optional<model::RefusalReason> refusal_reason;
  std::string failure;
  std::vector<std::string> offered_service;
  std::optional<std::string> service_used;
  std::vector<model::Prefix> actual_prefix;

  bool immediate() const { return record.request.trigger_mitigation; }
  bool wanted() const { return phase == Phase::requesting || phase == Phase::active || phase == Phase::waiting; }
};

struct Requests::State {
  enum class Purpose : std::uint8_t { put, poll, observation, del, del_unknown, efficacy };
  struct Pending {
    base::Mid mid;
    Purpose purpose = Purpose::put;
  };

  Settings settings;
  std::uint64_t random;
  MidSequence mids;
  base::Cuid desired_cuid;
  int collisions = 0;     // in a row
  int taken_on_data = 0;  // cuids that the data channel has found taken
  bool loaded = false;
  std::uint64_t last_send = 0;
  std::map<base::Mid, Entry> live;
  std::deque<Entry> ended;  // newest last
  std::map<SendId, Pending> sends;

  // requests.cpp
  const base::Cuid& working_cuid() const;
  std::string counter_name(const char* what) const;
  Entry* find_live(base::Mid mid);
  bool idle() const;

  // sending.cpp
  void put(Entry& entry, Effects& out);
  void get(Entry& entry, bool observe, Effects& out);
  void del(Entry& entry, Effects& out);
  // PUT, unless a withdrawal that would make the server answer 4.09 must end first.
  void put_when_free(Entry& entry, Effects& out);
  void cancel(std::optional<SendId>& send, Effects& out);
  void cancel_all(Entry& entry, Effects& out);
  void forget_efficacy(Entry& entry, Effects& out);
  void begin_withdrawal(Entry& entry, const std::string& actor, const std::string& text, base::Now now, Effects& out);
  // Moves the entry to the ended ones and erases its record. `entry` is gone afterwards.
  void end(Entry& entry, Phase how, const std::string& reason, base::Now now, Effects& out);
  void persist(const Entry& entry, Effects& out) const;
  void audit(const Entry& entry, const std::string& actor, const char* action, const char* verdict,
             const std::string& text, base::Now now, Effects& out) const;
  void tell(const char* id, const Entry& entry, const std::string& text, Effects& out) const;

  // filters.cpp
  std::optional<base::Mid> create(const Wanted& wish, model::Lifetime asked, base::Now now, Effects& out);
  // The request that has the same scope and is wanted without regard to filters.
  Entry* same_scope(const Entry& entry);
  bool is_filter_failure(const Entry& entry, const Answer& answer) const;
  void on_filter_failure(Entry& entry, const Answer& answer, base::Now now, Effects& out);
  // Max-Age is over: the same with a new mid, or no more. `entry` is gone afterwards.
  void ask_filters_again(Entry& entry, base::Now now, Effects& out);
  void note_switched(Entry& entry, const std::vector<model::AclActivation>& acl_list, Effects& out);

  // answers.cpp
  void on_put_answer(Entry& entry, const Answer& answer, base::Now now, Effects& out);
  void on_efficacy_answer(Entry& entry, const Answer& answer, base::Now now, Effects& out);
  void on_put_accepted(Entry& entry, const Answer& answer, base::Now now, Effects& out);
  void on_put_refused(Entry& entry, const Answer& answer, base::Now now, Effects& out);
  void on_collision(Entry& entry, const Answer& answer, base::Now now, Effects& out);
  void take_new_cuid(const base::Cuid& taken, Effects& out);
  void on_delete_answer(Entry& entry, const Answer& answer, base::Now now, Effects& out);
  void wait(Entry& entry, base::Duration time, const std::string& reason, base::Now now, Effects& out);
  void wait_out(Entry& entry, const model::ConflictInformation& conflict, const std::string& reason, base::Now now,
                Effects& out);
  void resume_blocked(Effects& out);

  // moving.cpp
  void carry(Entry& entry, const std::string& why, Effects& out);

  // extensions.cpp
  // What goes with every request towards this server.
  void extend(model::MitigationRequest& request) const;
  void note_refusal_reason(Entry& entry, const Answer& answer) const;
  void note_extensions(Entry& entry, const model::MitigationEntry& told, Effects& out);

  // status.cpp
  void on_get_answer(Entry& entry, Purpose purpose, const Answer& answer, base::Now now, Effects& out);
  void on_status(Entry& entry, const model::MitigationEntry& told, base::Now now, Effects& out);
  void on_unknown_at_server(Entry& entry, base::Now now, Effects& out);
  void resume(Entry& entry, base::Now now, Effects& out);
  void note_conflict(Entry& entry, const std::optional<model::ConflictInformation>& conflict, Effects& out);
  void follow_lifetime(Entry& entry, model::Lifetime remaining, base::Now now);
};

// The share of the granted lifetime after which a refresh is due.
base::Duration refresh_after(model::Lifetime granted, std::uint32_t refresh_before_percent);
// "4.09: overlaps mid 12", for people.
std::string explain(const Answer& answer);
std::string explain(const model::ConflictInformation& conflict);

}  // namespace dots::signal::client
