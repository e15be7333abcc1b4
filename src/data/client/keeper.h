// What a client keeps at one server over the data channel: its registration, and the aliases and filters that its
// operators have put there (RFC 8783 5 to 7).
//
// A pure machine with one request under way at a time: (event, now) in, effects out. Operators go before upkeep. What
// the server has is the truth while it has it; what it has lost is put there again, what would run out is refreshed.
// docs/decisions/data-channel-client.md.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "data/client/entry.h"
#include "data/instance.h"
#include "ports/http.h"
#include "ports/store.h"

namespace dots::data::client {

using WishId = base::StrongId<struct WishIdTag, std::uint64_t>;
using AskId = base::StrongId<struct AskIdTag, std::uint64_t>;

struct KeeperSettings {
  std::string server;     // its name in our records
  std::string authority;  // "dots.example.net" or with a port, as in Host
  base::Cuid cuid;
  std::string default_root = "/restconf";  // of a server without host-meta
  base::Duration check_every = std::chrono::hours{1};
  std::int64_t refresh_before_min = 5040;  // an entry with less left is refreshed
  std::size_t waiting_wishes = 256;
  base::Duration patience = std::chrono::seconds{50};  // of an operator
};

// What an operator asks for.
struct Wish {
  enum class What : std::uint8_t { list, show, put, erase, capabilities } what = What::list;
  Kind kind = Kind::alias;
  std::string name = {};               // show, erase
  std::optional<Instance> entry = {};  // put: checked (entry.h)
  std::string if_match = {};           // put, erase: only when the server still has this version
  bool create_only = false;            // put: only when the server has none of that name
  Placement placement = {};            // put of a filter
  std::string author = {};
};

struct Report {
  enum class Outcome : std::uint8_t { done, bad_request, not_found, conflict, unavailable } outcome = Outcome::done;
  std::string message, next_step;  // unless done
  std::string body;                // of the server: list, show, capabilities
  std::string etag;
  bool created = false;  // put
};

struct Ask {
  AskId id;
  ports::HttpRequest request;
};
struct Tell {
  WishId wish;
  Report report;
};
struct Persist {
  ports::Change change;
};
struct Message {  // ops/facts/messages.inc
  std::string id, details;
};
// The cuid belongs to another client; whoever chooses cuids chooses a new one (RFC 9132 4.4.1.1).
// Told at each attempt under it: whoever chooses may have had to wait for the end of a mitigation.
struct CuidTaken {
  base::Cuid cuid;
};
using Effect = std::variant<Ask, Tell, Persist, Message, CuidTaken>;
using Effects = std::vector<Effect>;

struct KeeperView {
  std::string root;  // empty: not known
  bool registered = false;
  bool unwell = false;
  std::string last_failure;
  std::optional<base::SteadyTime> next_attempt;  // while unwell
  struct Kept {
    ports::ClientDataRecord record;
    std::string problem;  // why the server does not take it any more
  };
  std::vector<Kept> kept;  // by kind, then by rank and name
};

class Keeper {
 public:
  explicit Keeper(KeeperSettings settings);
  ~Keeper();
  Keeper(Keeper&&) noexcept;

  // Those of this server count.
  void start(const std::vector<ports::ClientDataRecord>& records, base::Now now, Effects& out);
  // Of the one Ask that is under way.
  void on_answer(AskId id, ports::HttpOutcome outcome, base::Now now, Effects& out);
  void on_timer(base::Now now, Effects& out);
  std::optional<base::SteadyTime> next_deadline() const;

  // Answered by Tell, exactly once.
  void wish(WishId id, Wish wish, base::Now now, Effects& out);
  // The signal channel uses another one from now on; nothing is active under the old one.
  void set_cuid(const base::Cuid& cuid, base::Now now, Effects& out);

  KeeperView view() const;
  bool unwell() const;
  const std::string& last_failure() const;
  const base::Cuid& cuid() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dots::data::client
