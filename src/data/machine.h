// The state of a Domain and the steps of a request through it. Internal to this room.
#pragma once

#include <array>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "data/domain.h"
#include "data/fault.h"
#include "data/instance.h"
#include "data/printing.h"
#include "data/target.h"
#include "wire/json_value.h"

namespace dots::data {

using Kind = ports::DataEntryKind;

// The steps of a path down to an alias or list: dots-data, dots-client, aliases or acls, the entry.
inline constexpr std::size_t kEntryLevel = 4;

struct Client;

// One alias or one list.
struct Entry {
  Client* client = nullptr;
  ports::DataEntryRecord record;
  base::SteadyTime deadline;
  std::shared_ptr<const model::Filter> filter;  // of a list
  std::vector<std::string> matches;             // of a list: the matches of its entries as text, in their order
  std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> counted;  // by entry: packets, octets
  // The names of the entries of `names_of`, for count().
  std::shared_ptr<const model::Filter> names_of;
  std::set<std::string_view> names;
};

struct Collection {
  std::map<std::string, std::unique_ptr<Entry>> by_name;
  std::map<std::int64_t, Entry*> order;  // by rank

  Entry* find(const std::string& name) const;
};

struct Client {
  ports::DataClientRecord record;
  Collection aliases, acls;

  Collection& of(Kind kind) { return kind == Kind::alias ? aliases : acls; }
  const Collection& of(Kind kind) const { return kind == Kind::alias ? aliases : acls; }
};

// What a request wants to write, decided before anything is changed.
struct Draft {
  Kind kind = Kind::alias;
  Instance config;
  Placement placement = {};
  // Found by the check:
  std::string name = {};
  std::string body = {};
  std::shared_ptr<const model::Filter> filter = {};
  std::vector<std::string> matches = {};
  bool same_entries = false;  // of the list that is there: `config` and `matches` are not needed
};
struct Work {
  base::Cuid cuid;
  std::optional<ports::DataClientRecord> registration = {};  // created or changed
  bool deregister = false;
  std::vector<std::pair<Kind, std::string>> erase = {};
  std::vector<Draft> put = {};
  int status = 204;
  std::vector<Step> location = {};  // of what POST created
  std::string text = {};            // for the audit log and the operator, instead of numbers of entries
};

struct Edit {
  std::string_view method;
  const Target& target;
  const Query& query;
  const wire::JsonValue* body;  // null without
  const Asker& asker;
};

struct Domain::State {
  std::shared_ptr<const policy::DomainRules> rules;
  Options options;
  std::map<base::Cuid, Client> clients;
  std::map<base::ClientId, ports::DataVersion> views;  // the datastore as each client identity sees it
  std::uint64_t revision = 0;
  std::uint64_t filters_version = 0;
  std::set<std::pair<base::SteadyTime, Entry*>> deadlines;
  std::size_t aliases = 0, acls = 0, aces = 0, stored_bytes = 0;
  // Matches -> the lists that have entries with them, and how many accept and drop.
  std::unordered_map<std::string, std::map<const Entry*, std::array<std::size_t, 2>>> verdicts;

  base::DomainId domain() const { return rules->policy().id; }
  // The client when it is the asker's own.
  const Client* own(const std::string& cuid, const Asker& asker) const;

  // Reading (retrieve.cpp)
  Checked<ports::HttpAnswer> retrieve(const Target& target, const Query& query, const ports::HttpRequest& request,
                                      const Asker& asker, base::Now now) const;
  Checked<std::vector<Instance>> build(const std::vector<Step>& steps, const Selection& selection, const Asker& asker,
                                       base::Now now) const;
  // Certainly there, as can be said without building it.
  bool is_there(const std::vector<Step>& steps, const Asker& asker) const;
  // Nothing for a resource that is not there, or has no version.
  std::optional<ports::DataVersion> version_of(const std::vector<Step>& steps, const Asker& asker) const;
  static Instance config_of(const Entry& entry);
  // The matches of each entry as text: what filters of two clients are compared by.
  static std::vector<std::string> matches_of(const Instance& acl);
  static Instance with_state(const Entry& entry, base::Now now);

  // Writing: what is wanted (plan.cpp), whether it may be (check.cpp), and doing it (apply.cpp)
  Checked<Work> plan(const Edit& edit) const;
  Checked<void> check(Work& work, const Asker& asker, std::vector<Event>& events) const;
  void apply(Work& work, const std::string& actor, const std::string& action, base::Now now, Outcome& outcome,
             const std::string& credential = {});

  // The parts of apply.
  Entry& insert(Client& client, ports::DataEntryRecord record, std::shared_ptr<const model::Filter> filter,
                std::vector<std::string> matches, base::SteadyTime deadline);
  // Another record of what is there, with the same entries.
  void renew(Entry& entry, ports::DataEntryRecord record, std::shared_ptr<const model::Filter> filter,
             base::SteadyTime deadline);
  void erase(Client& client, Kind kind, const std::string& name);
  void index(const Entry& entry, bool add);
  static void touch(Client& client, Kind kind, const ports::DataVersion& version);

 private:
  friend class Domain;
  Checked<Work> plan_registration(const Edit& edit, const Instance& body) const;
  Checked<Work> plan_client(const Edit& edit, const base::Cuid& cuid) const;
  static void plan_entries(const Edit& edit, const Collection& known, Kind kind, const Instance& container, Work& work);
  Checked<Work> plan_collection(const Edit& edit, const Client& client, Kind kind) const;
  Checked<Work> plan_entry(const Edit& edit, const Client& client, Kind kind) const;
  Checked<Work> plan_inside(const Edit& edit, const Client& client, Kind kind) const;
  Checked<void> check_alias(Draft& draft, const std::string& path) const;
  Checked<void> check_acl(Draft& draft, const std::string& path) const;
  Checked<void> check_targets(const model::Filter& filter, const std::string& path) const;
  Checked<void> check_activation(const model::Filter& filter, model::ActivationType type) const;
  Checked<void> check_quotas(const Work& work) const;
  Checked<void> check_conflicts(const Work& work, const Asker& asker, std::vector<Event>& events) const;
  static void rank_anew(Collection& collection, Outcome& outcome);
  static void make_room(Collection& collection, std::int64_t place, Outcome& outcome);
  std::int64_t rank_for(Client& client, Kind kind, const Draft& draft, Outcome& outcome);
};

// The methods that a resource takes, for Allow; the first of them are GET and HEAD.
std::string allowed_methods(const Target& target);

// Resources without state of their own (resources.cpp).
ports::HttpAnswer host_meta(const std::string& root, bool json);
std::string api_body(Target::Kind kind);
Instance capabilities_instance(const Capabilities& capabilities);
// restconf-state, yang-library or modules-state.
Instance library_instance(NodeId top);

}  // namespace dots::data
