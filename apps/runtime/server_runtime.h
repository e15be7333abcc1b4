// The server role at work: threads, queues and sockets around the pure machines of agent/server.
//
// Every decision is taken in there; this is the place where rooms meet. docs/architecture.md lists the threads.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "agent/control.h"
#include "base/result.h"
#include "ops/config.h"
#include "ops/facts/messages.h"

namespace dots::runtime {

class ServerRuntime : public agent::Control {
 public:
  // Opens store, sockets and back ends, and starts. An error says what to do. `sink` outlives the runtime.
  static base::Result<std::unique_ptr<ServerRuntime>> start(const ops::Config& config, ops::facts::Sink& sink);
  // Stops in good order: sessions are closed, the last batch is committed, rules are kept or removed as configured.
  ~ServerRuntime() override;

  void call(agent::Call call, std::function<void(agent::CallAnswer)> done) override;

 private:
  struct State;
  explicit ServerRuntime(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace dots::runtime
