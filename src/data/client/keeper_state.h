// Inside of Keeper. Not for other rooms.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <set>

#include "data/client/keeper.h"
#include "data/client/restconf.h"

namespace dots::data::client {

struct Keeper::State {
  using Key = std::pair<Kind, std::string>;
  using Then = std::function<void(base::Now, Effects&)>;
  using OnAnswer = std::function<void(const ports::HttpAnswer&, base::Now, Effects&)>;

  struct Waiting {
    WishId id;
    Wish wish;
    base::SteadyTime deadline;
    bool told = false;     // its time was over while the server had it
    bool retried = false;  // after the server had forgotten us
  };
  struct Chore {
    enum class What : std::uint8_t { refresh, restore } what;
    Key key;
    bool again = false;       // somebody else was faster once
    bool registered = false;  // anew for it, after the server had forgotten us
  };
  enum class Purpose : std::uint8_t { none, wish, upkeep };

  KeeperSettings settings;

  // The server, as far as it is known; forgotten with every failure.
  std::optional<std::string> root;
  std::optional<Offer> offer;
  std::string offer_text;
  bool registered = false;
  bool cuid_taken = false;                // told, and not well since
  bool post_anyway = false;               // it says that we are not registered, whatever HEAD says
  std::map<base::Cuid, int> left_behind;  // cuids of ours that are to be removed; how often that was refused

  std::map<Key, ports::ClientDataRecord> kept;
  std::map<Key, std::string> problems;
  std::set<Key> doubtful;            // nobody knows whether their deletion was carried out; the next look tells
  std::vector<std::string> order;    // of the filters that are kept
  std::vector<std::string> present;  // filters at the server, as of the last look

  std::deque<Waiting> wishes;  // the front one is under way with Purpose::wish
  std::deque<Chore> chores;
  std::size_t chores_first = 0;  // so many before the next look: the last one has failed
  std::string look_failure;      // of the last look; empty: it was whole
  bool at_chore = false;         // the front one is under way
  Purpose purpose = Purpose::none;
  std::optional<AskId> asked;
  OnAnswer on_answer;
  std::uint64_t asks = 0;
  bool writes = false;     // the request that is under way
  bool wish_sent = false;  // it is that of the front wish, not one before it

  base::SteadyTime check_at{};
  base::SteadyTime hold_until{};             // what the server has asked for
  int holds = 0;                             // in a row
  std::optional<base::SteadyTime> retry_at;  // upkeep, after a failure
  base::Duration pause{};
  bool unwell = false;
  std::string last_failure;

  Paths paths() const { return {*root, settings.cuid}; }
  bool is_free(base::Now now) const { return !asked && purpose == Purpose::none && hold_until <= now.steady; }

  // keeper.cpp
  void next(base::Now now, Effects& out);
  void ask(ports::HttpRequest request, base::Now now, Effects& out, OnAnswer then);
  // Everything that stands before a request about entries: root, capabilities, registration.
  void prepare(base::Now now, Effects& out, Then then);
  void discover(base::Now now, Effects& out, const Then& then);
  void look_at_capabilities(base::Now now, Effects& out, const Then& then);
  void remove_old(base::Now now, Effects& out, const Then& then);
  void register_client(base::Now now, Effects& out, const Then& then);
  void post_registration(base::Now now, Effects& out, const Then& then);
  // Nothing can be done with the server at present: whoever waits is told, upkeep comes again.
  void broken(const std::string& reason, const std::string& next_step, base::Now now, Effects& out);
  void well(Effects& out);
  void tell(Waiting& waiting, Report report, Effects& out);
  void expire(base::Now now, Effects& out);
  // Redirects, refusals of the whole client, and "come again later"; true when that is all there is to the answer.
  bool is_general(const ports::HttpAnswer& answer, base::Now now, Effects& out);

  // keeper_wishes.cpp
  void serve(base::Now now, Effects& out);
  void finish(Report report, base::Now now, Effects& out);
  void on_wish_answer(const ports::HttpAnswer& answer, base::Now now, Effects& out);
  void keep(const Wish& wish, base::Now now, Effects& out);
  void forget(const Key& key, Effects& out);
  // The request of the front one has left, and no answer comes.
  void lost(const std::string& reason, base::Now now, Effects& out);
  Report refused(const Wish& wish, const ports::HttpAnswer& answer) const;

  // keeper_upkeep.cpp
  void check(base::Now now, Effects& out);
  void look(std::vector<Kind> kinds, base::Now now, Effects& out);
  void compare(Kind kind, const std::vector<Listed>& there, Effects& out);
  void end_upkeep(base::Now now, Effects& out);
  void do_chore(base::Now now, Effects& out);
  void refresh(base::Now now, Effects& out);
  void restore(base::Now now, Effects& out);
  void adopt(const Key& key, const Instance& entry, Effects& out);
  void chore_refused(const ports::HttpAnswer& answer, base::Now now, Effects& out);
  // Until the next look.
  void drop_chore(const std::string& why, base::Now now, Effects& out);
  void follow_order(const std::vector<Listed>& there, Effects& out);
  void store(const Key& key, Effects& out);
  // Ranks say the order.
  void rank_anew(Effects& out);
};

std::string quoted(Kind kind, const std::string& name);  // "filter 'x'"

}  // namespace dots::data::client
