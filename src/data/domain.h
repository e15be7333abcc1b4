// The data channel of one client domain (RFC 8783), pure: (request, now) -> answer and changes.
//
// Every outcome depends on the changes of the same and of all earlier outcomes: the shell lets no answer leave before
// they are committed. When a commit is refused, the shell loads the domain again from the store and answers what waited
// with unavailable() - the rule of the signal channel's machine (docs/architecture.md).
//
// Ownership: one machine for each domain, on the domain's owner shard. Threads: none of its own.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "data/effective.h"
#include "data/tree.h"
#include "data/typed.h"
#include "model/filter.h"
#include "model/mitigation.h"
#include "policy/domain_policy.h"
#include "ports/http.h"
#include "ports/store.h"

namespace dots::data {

// Bounds; the ones without a scope are of the whole domain.
struct Limits {
  std::size_t clients = 1024;
  std::size_t aliases = 200000;
  std::size_t aliases_per_client = 100000;
  // A packet filter is shared by all domains: one takes a quarter of what the nft helper holds at the most.
  std::size_t acls = 4096;
  std::size_t acls_per_client = 2048;
  std::size_t aces = 16384;
  std::size_t aces_per_acl = 10000;
  std::size_t targets_per_alias = 1024;
  std::size_t stored_bytes = std::size_t{128} << 20;  // of all aliases and lists, as the store keeps them
  std::size_t request_bytes = std::size_t{4} << 20;
  std::size_t answer_bytes = std::size_t{64} << 20;
  std::size_t expired_at_once = 1000;  // entries that one tick removes
};

// Filters of two clients of the domain that match the same and disagree (RFC 8783 3.1).
enum class FilterConflict : std::uint8_t {
  refuse,  // the newer one: 409
  accept,  // both stand; the operator is told
};

struct Options {
  std::string root = "/restconf";           // RESTCONF API root; starts with '/', ends without
  std::vector<std::string> own_names = {};  // names and addresses that in a Via field mean a loop
  Capabilities capabilities = Capabilities::needed();
  base::Duration lifetime = std::chrono::minutes{10080};  // of aliases and lists without a refresh; never less
  FilterConflict conflicts = FilterConflict::refuse;
  FilterRules filter_rules = {};
  bool wrap_entries = true;  // single entries are answered in their container, as RFC 8783 prints them (A8783-01)
  // Identities are answered with their module (RFC 7951 6.8) and not bare, as RFC 8783 prints them (A8783-02).
  bool qualified_identities = false;
  Limits limits = {};
  // Whose a cuid is on the signal channel; nothing for one that is not used there.
  std::function<std::optional<base::ClientId>(const base::Cuid&)> cuid_owner = {};
};

// Who asks, within the domain.
struct Asker {
  base::ClientId client;
  bool gateway = false;         // a server-domain gateway that may name the client behind it (cdid)
  std::string credential = {};  // what proved it, for the audit log
};

// What the operator and other parts hear of, after the commit.
struct Event {
  enum class Kind : std::uint8_t {
    registered,
    deregistered,
    stored,   // an alias or a list was created or changed
    removed,  // on request
    expired,  // for want of a refresh
    refused,
    conflict,    // of filters of two clients
    looped,      // a request that came back to us
    unreadable,  // a stored record that this release cannot read; it stays in the store
  };
  Kind kind = Kind::refused;
  base::ClientId client;
  base::Cuid cuid;
  std::string name;      // "alias=x", "acl=y and 3 more"
  bool filters = false;  // the effective filters of the domain may have changed
  std::string text;      // one sentence
};

// The activation-type of a list that was there before has become another one.
struct ActivationChange {
  base::Cuid cuid;
  model::AclActivation acl;
};

struct Outcome {
  ports::HttpAnswer answer;
  std::vector<ports::Change> changes = {};
  std::vector<Event> events = {};
  std::vector<ActivationChange> activations = {};  // by a request on the data channel, not by activate()
};

// Which lists could not be switched, and why the first of them could not.
struct ActivationFailure {
  std::vector<model::AclActivation> failed;
  std::string reason;
};

// A list as operators see it.
struct FilterView {
  base::ClientId client;
  base::Cuid cuid;
  std::shared_ptr<const model::Filter> filter;
  base::SteadyTime expires;
};

class Domain {
 public:
  Domain(std::shared_ptr<const policy::DomainRules> rules, Options options);
  ~Domain();
  Domain(Domain&&) noexcept;
  Domain& operator=(Domain&&) noexcept;

  // Takes over what the store holds of this domain: at the start and after a refused commit. Nothing expires while
  // now.wall is behind snapshot.last_commit.
  std::vector<Event> load(const ports::Snapshot& snapshot, base::Now now);

  Outcome request(const ports::HttpRequest& request, const Asker& asker, base::Now now);

  // Removes what was not refreshed in time; the answer means nothing.
  Outcome tick(base::Now now);
  std::optional<base::SteadyTime> next_deadline() const;

  // For the signal channel.
  std::optional<model::Alias> alias(const base::ClientId& client, const base::Cuid& cuid,
                                    const std::string& name) const;
  // Who has registered this cuid.
  std::optional<base::ClientId> owner_of(const base::Cuid& cuid) const;
  // The registration of the cuid ends, by an operator's hand; nothing without one.
  std::optional<Outcome> release(const base::Cuid& cuid, const std::string& actor, base::Now now);
  // RFC 9133: lists that a mitigation request switches, all of them or none; that refreshes them. What was checked when
  // they were made is not checked again, but for the domain's ownership and the rules of `immediate`; to switch a list
  // off is always possible. `why` stands in the audit log. REQUIRES: activation() knows each of them.
  std::optional<model::ActivationType> activation(const base::ClientId& client, const base::Cuid& cuid,
                                                  const std::string& acl) const;
  base::Result<Outcome, ActivationFailure> activate(const base::Cuid& cuid,
                                                    const std::vector<model::AclActivation>& acl_list,
                                                    const std::string& why, base::Now now);
  // What to enforce while these clients (cuids) have an active mitigation (RFC 8783 4.1, 7.2).
  std::vector<EffectiveFilter> effective(const std::function<bool(const base::Cuid&)>& mitigating) const;
  // Grows with each change of a list, so that nobody asks for effective() without need.
  std::uint64_t filters_version() const;
  // What back ends have counted for one entry of a list since the last call, added to its statistics.
  void count(const base::Cuid& cuid, const std::string& acl, const std::string& ace, std::uint64_t packets,
             std::uint64_t octets);
  // Every list, in force or not.
  std::vector<FilterView> filters() const;

  // A new policy after a reload of the configuration: counts for requests from now on.
  void set_rules(std::shared_ptr<const policy::DomainRules> rules);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// To whoever waited for a commit that was refused.
ports::HttpAnswer unavailable();

}  // namespace dots::data
