// What must hold at every moment of a simulation, judged from outside: by the messages on the wire, the disk of the
// server, and what is asked of the back end. It shares no state with the machines that it judges.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "adapters/store/memory_store.h"
#include "model/peer.h"
#include "policy/domain_policy.h"
#include "signal/server/events.h"
#include "tests/sim/coverage.h"
#include "tests/world/timeline.h"
#include "wire/coap_message.h"

namespace dots::sim {

class Oracle {
 public:
  struct World {
    const world::Timeline* timeline = nullptr;
    const world::WallClock* server_clock = nullptr;
    std::shared_ptr<const adapters::store::MemoryDisk> disk;  // of the server
    std::map<std::string, policy::DomainPolicy> domains;
    Coverage* coverage = nullptr;
    std::function<void(const std::string&)> fail;
  };
  explicit Oracle(World world) : world_(std::move(world)) {}

  // Plaintext CoAP; `domain` is whose client is at the other end of `path`.
  void server_received(const model::Path& path, const std::string& domain, base::ByteView plaintext);
  void server_sent(const model::Path& path, const std::string& domain, base::ByteView plaintext);
  // Before these changes become durable at the server.
  void server_commits(const std::vector<ports::Change>& changes);
  void wanted(const signal::server::DesiredRules& rules);
  void reported(const ports::MitigationKey& key, const char* state);
  void removing(const model::Rule& rule);
  void operator_withdraws(const ports::MitigationKey& key) { withdrawn_by_operator_.insert(key); }
  // The client has ended a request after its withdrawal was answered.
  void client_forgot(const ports::MitigationKey& key) {
    if (delete_seen_.contains(key)) forgotten_.insert(key);
  }
  void server_started();

  // The rules that everything on the disk asks for.
  std::map<model::RuleMatch, std::set<model::RuleOwner>> rules_of_disk() const;

 private:
  struct Request {
    wire::Method method = wire::Method::get;
    std::optional<ports::MitigationKey> key;
    base::SteadyTime first, last;  // seen
    int open = 0;                  // datagrams that have found no answer yet
  };
  struct Session {
    std::map<base::Bytes, Request> requests;  // by token
    base::SteadyTime paid_until{};            // how far the notifications so far reach at their pace
  };
  struct Stored {  // what the disk was told of a key
    base::SteadyTime at;
    base::Duration clock_offset{};
    model::MitigationStatus status = model::MitigationStatus::in_progress;
  };
  void put(const ports::MitigationRecord& record, const std::vector<ports::Change>& batch);
  void erase(const ports::MitigationKey& key, const std::vector<ports::Change>& batch);
  // The deadline of a stored record has passed, or the clock does not allow to say.
  bool is_over(const ports::MitigationRecord& record) const;
  void took(const ports::MitigationKey& key, const std::string& to);
  void check_answer(const Request& request, const wire::Message& message, const std::string& what);
  void check_entries(const std::string& domain, const wire::Message& message, const std::string& what);

  World world_;
  std::map<model::Path, Session> sessions_;
  std::map<ports::MitigationKey, Stored> stored_;
  std::map<ports::MitigationKey, base::SteadyTime> put_seen_, delete_seen_;
  std::set<ports::MitigationKey> withdrawn_by_operator_, forgotten_;
  std::map<ports::MitigationKey, std::string> shown_;  // status with what the back end says
};

std::string to_string(const ports::MitigationKey& key);

}  // namespace dots::sim
