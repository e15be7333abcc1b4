// The client role at work: one thread with sockets and timers around the pure machine of agent/client.
#pragma once

#include <functional>
#include <memory>

#include "agent/control.h"
#include "base/result.h"
#include "ops/config.h"
#include "ops/facts/messages.h"

namespace dots::runtime {

class ClientRuntime : public agent::Control {
 public:
  // Opens store and credentials, and starts to connect. An error says what to do. `sink` outlives the runtime; the
  // caller holds the state lock.
  static base::Result<std::unique_ptr<ClientRuntime>> start(const ops::Config& config, ops::facts::Sink& sink);
  // Stops in good order: sessions are closed, the last batch is committed; requests stay and go on after a restart.
  ~ClientRuntime() override;

  void call(agent::Call call, std::function<void(agent::CallAnswer)> done) override;

 private:
  struct State;
  explicit ClientRuntime(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace dots::runtime
