// Who says exactly what the play tells it, over one session: a client of our server, or a server of our client.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "coap/endpoint.h"
#include "tests/support/scripted_channel.h"
#include "tests/world/timeline.h"

namespace dots::plays {

class Peer;

// What somebody has heard, over all its sessions, and the play has not yet spoken of.
struct Inbox {
  struct Answer {
    bool notification = false;
    std::string manner;  // "confirmable", "non-confirmable", "piggybacked"
    std::string about;   // path of the request
    coap::Response response;
  };
  struct Asked {
    base::SteadyTime at;
    Peer* by = nullptr;
    base::ExchangeId exchange;
    base::Bytes token;
    coap::Request request;
  };
  std::deque<Answer> answers;
  std::deque<Asked> requests;
  std::deque<Asked> heartbeats;               // answered already
  std::optional<base::SteadyTime> connected;  // when the last session opened
  bool left = false;                          // a session was closed by the other side
};

class Peer {
 public:
  using Out = std::function<void(base::Bytes)>;

  Peer(world::Timeline& timeline, Inbox& inbox, std::unique_ptr<test::ScriptedChannel> channel, std::uint64_t seed,
       Out out)
      : timeline_(timeline), inbox_(inbox), channel_(std::move(channel)), seed_(seed), out_(std::move(out)) {}

  void start();  // a client's handshake
  void on_datagram(const base::Bytes& datagram);
  // False: there is no session, or no room for another request.
  bool send(const coap::Request& request);
  bool end_observation();  // of the last one
  void respond(const Inbox::Asked& asked, const coap::Response& response);
  void ignore(const Inbox::Asked& asked);
  // To the last observation of this path; false: there is none.
  bool notify(const std::string& path, const coap::Response& response);
  void close();
  bool open() const { return endpoint_.has_value() && channel_->is_open(); }

 private:
  void put(ports::ChannelEvents& events);
  void absorb(coap::Effects& effects, const std::string& manner);

  world::Timeline& timeline_;
  Inbox& inbox_;
  std::unique_ptr<test::ScriptedChannel> channel_;
  std::uint64_t seed_;
  Out out_;
  std::optional<coap::Endpoint> endpoint_;
  std::map<coap::RequestId, std::string> asked_;
  std::optional<coap::RequestId> observation_;
  std::map<std::string, base::Bytes> observers_;  // path -> token
};

}  // namespace dots::plays
