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

  enum class Link : bool { provisioned, alternate };
  struct Server {
    Upstream upstream;
    signal::client::Requests requests;
    signal::client::SessionConfig config;
    Redirection redirection;
    std::unique_ptr<Upstream> alternate{};  // while redirection.place()
    bool parked = false;                    // the alternate has taken over: no session with the provisioned server
    std::optional<base::SteadyTime> loop_until{};  // health REDIRECT_LOOP
    Link config_link = Link::provisioned;          // whom the session configuration is negotiated with
    bool ever_connected = false;
    bool unwell = false;  // as told last

    Upstream* link(Link which) { return which == Link::provisioned ? &upstream : alternate.get(); }
    // Where this request goes.
    Upstream& link_of(base::Mid mid) { return redirection.covers(mid) && alternate ? *alternate : upstream; }
    // The one that carries the requests in general.
    Link active_link() const { return redirection.all() && alternate ? Link::alternate : Link::provisioned; }
    const Upstream& active() const { return redirection.all() && alternate ? *alternate : upstream; }
  };

  ClientSettings settings;
  std::optional<Connectors> connectors;
  std::uint64_t seed = 0;
  std::uint64_t session_ids = 0;
  std::map<std::string, base::SteadyTime> heard_at;  // servers of the last kLoopWindow, by name
  std::vector<Server> servers;
  Gate<Visible> gate;
  std::vector<Wait> waits;
  base::SteadyTime started_at{};

  bool store_refused = false;  // from a refused commit to the reload after it
  std::optional<base::SteadyTime> reload_at;
  base::Duration reload_pause{};
  std::string store_reason;
  std::string asking;  // the credential of the operator whose call is being carried out

  // client_agent.cpp
  template <class Event>
  void each_link(std::size_t server, base::Now now, ClientEffects& out, Event event) {
    for (const Link which : {Link::provisioned, Link::alternate}) {
      Upstream* link = servers[server].link(which);
      if (link == nullptr) continue;
      UpstreamOutput output;
      event(*link, output);
      absorb(server, which, std::move(output), now, out);
    }
  }
  void absorb(std::size_t server, Link from, UpstreamOutput&& output, base::Now now, ClientEffects& out);
  void take(std::size_t server, signal::client::Effects&& effects);
  // Waits for no commit: nothing of the session configuration is stored.
  void perform(std::size_t server, signal::client::ConfigEffects&& effects, base::Now now, ClientEffects& out);
  // The session configuration follows the mitigations, and the server when another one takes over.
  void review_config(std::size_t server, base::Now now, ClientEffects& out);
  // Lets out what waits for nothing, and the next batch; at the end of every event.
  void settle(base::Now now, ClientEffects& out);
  void tell_health(ClientEffects& out);
  void perform(Visible&& visible, base::Now now, ClientEffects& out);
  void perform(std::size_t server, const signal::client::Effect& effect, base::Now now, ClientEffects& out);
  void fail(std::vector<Visible>&& visible, ClientEffects& out);
  void finish_wait(std::size_t index, base::Now now, ClientEffects& out);

  // redirecting.cpp
  void on_redirect(std::size_t server, Link from, const ErrandAnswer& answer, base::Now now, ClientEffects& out);
  // Turns to another server; `only` as in Requests::move.
  void open_alternate(std::size_t server, UpstreamSettings settings, base::Now now, ClientEffects& out);
  void move_requests(std::size_t server, const std::string& why, const std::optional<std::set<base::Mid>>& only,
                     base::Now now);
  bool try_another(std::size_t server, const std::string& not_this, base::Now now, ClientEffects& out);
  void go_back(std::size_t server, const std::string& why, base::Now now, ClientEffects& out);
  // What the time and the sessions have changed; at the end of every event. True when requests have moved.
  bool review_redirections(base::Now now, ClientEffects& out);
  // Two machines with one cuid at one server must not use the same mids.
  void keep_mids_apart(std::size_t server);
  std::optional<RedirectView> redirect_view(const Server& server, base::Now now) const;

  // calls.cpp
  void dispatch(CallTicket ticket, const Call& call, base::Now now, ClientEffects& out);
  void answer(CallTicket ticket, CallAnswer answer, ClientEffects& out);
  base::Result<std::size_t, CallAnswer> server_named(const std::string& name) const;
  base::Result<std::size_t, CallAnswer> server_of(const Selection& selection, base::Now now) const;
  CallAnswer status(base::Now now) const;
  boost::json::object rendered(const Server& server, const signal::client::RequestView& view, base::Now now) const;
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
