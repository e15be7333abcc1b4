// The client's side of the data channel as one pure machine: what it keeps at its servers, what operators ask for, and
// what may be told when.
//
// Beside ClientAgent, on a thread of its own: a large answer never delays a heartbeat. What an operator is told of a
// change waits until the client has stored what it now keeps.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/control.h"
#include "base/time.h"
#include "data/client/keeper.h"
#include "ports/store.h"

namespace dots::agent::data_client {

using CallTicket = base::StrongId<struct DataCallTicketTag, std::uint64_t>;

struct DataEffects {
  struct AskServer {
    std::size_t server = 0;
    data::client::AskId id;
    ports::HttpRequest request;
  };
  struct Done {
    CallTicket ticket;
    CallAnswer answer;
  };
  struct Health {
    std::string subject;
    bool unwell = false;
    std::string details;
  };
  struct CuidTaken {
    std::string server;
    base::Cuid cuid;
  };
  std::vector<AskServer> ask;
  std::optional<std::vector<ports::Change>> commit;  // one batch; at most one is out at a time
  std::vector<Done> done;
  std::vector<data::client::Message> messages;
  std::vector<Health> health;  // of the condition DATA_CHANNEL_LOST
  std::vector<CuidTaken> cuid_taken;
};

class DataAgent {
 public:
  // At least one server; the first one is meant when a call names none.
  explicit DataAgent(std::vector<data::client::KeeperSettings> servers);
  ~DataAgent();

  void start(const ports::Snapshot& snapshot, base::Now now, DataEffects& out);
  void on_answer(std::size_t server, data::client::AskId id, ports::HttpOutcome outcome, base::Now now,
                 DataEffects& out);
  void on_committed(const ports::CommitResult& result, base::Now now, DataEffects& out);
  void on_timer(base::Now now, DataEffects& out);
  std::optional<base::SteadyTime> next_deadline() const;
  void set_cuid(const std::string& server, const base::Cuid& cuid, base::Now now, DataEffects& out);

  // Is it an operation of the data channel (docs/api.md)?
  static bool serves(std::string_view operation);
  // Answered by DataEffects::done, exactly once for each ticket.
  void handle(CallTicket ticket, const Call& call, base::Now now, DataEffects& out);
  // One object for each server: what `status` tells of it.
  boost::json::array status(base::Now now) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dots::agent::data_client
