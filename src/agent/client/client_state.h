// Inside of ClientAgent. Not for other rooms.
#pragma once

#include <map>
#include <variant>

#include "agent/client/arguments.h"
#include "agent/client/client_agent.h"
#include "agent/client/gate.h"
#include "agent/client/render.h"
#include "agent/operators/answers.h"

namespace dots::agent::client {

struct ClientAgent::State {
  // A call that is answered when the server has spoken, or at its deadline.
  struct Wait {
    CallTicket ticket;
    std::size_t server = 0;
    base::Mid mid;
    base::SteadyTime deadline;
  };
  struct FromRequests {
    std::size_t server = 0;
    signal::client::Effect effect;
  };
  using Visible = std::variant<FromRequests, ClientEffects::Done, Wait>;

  struct Server {
    Upstream upstream;
    signal::client::Requests requests;
    bool ever_connected = false;
    bool unwell = false;  // as told last
  };

  ClientSettings settings;
  std::uint64_t session_ids = 0;
  std::vector<Server> servers;
  Gate<Visible> gate;
  std::vector<Wait> waits;
  base::SteadyTime started_at{};

  bool store_refused = false;  // from a refused commit to the reload after it
  std::optional<base::SteadyTime> reload_at;
  base::Duration reload_pause{};
  std::string store_reason;

  // client_agent.cpp
  void absorb(std::size_t server, UpstreamOutput&& output, base::Now now, ClientEffects& out);
  void take(std::size_t server, signal::client::Effects&& effects);
  // Lets out what waits for nothing, and the next batch; at the end of every event.
  void settle(base::Now now, ClientEffects& out);
  void tell_health(ClientEffects& out);
  void perform(Visible&& visible, base::Now now, ClientEffects& out);
  void perform(std::size_t server, const signal::client::Effect& effect, base::Now now, ClientEffects& out);
  void fail(std::vector<Visible>&& visible, ClientEffects& out);
  void finish_wait(std::size_t index, base::Now now, ClientEffects& out);

  // calls.cpp
  void dispatch(CallTicket ticket, const Call& call, base::Now now, ClientEffects& out);
  void answer(CallTicket ticket, CallAnswer answer, ClientEffects& out);
  base::Result<std::size_t, CallAnswer> server_named(const std::string& name) const;
  base::Result<std::size_t, CallAnswer> server_of(const Selection& selection, base::Now now) const;
  CallAnswer status(base::Now now) const;
  CallAnswer list(const Selection& selection, base::Now now) const;
  CallAnswer show(const Selection& selection, base::Now now) const;
  CallAnswer explain(const Selection& selection, base::Now now) const;
  void mitigate(CallTicket ticket, const Call& call, base::Now now, ClientEffects& out);
  void change(CallTicket ticket, const Call& call, const Selection& selection, base::Now now, ClientEffects& out);
  // After a change: answers with the request, at once or when the server has spoken.
  void conclude(CallTicket ticket, std::size_t server, base::Mid mid, base::Duration wait, base::Now now);
  CallAnswer request_answer(std::size_t server, base::Mid mid, base::Now now) const;
};

}  // namespace dots::agent::client
