// Opens sessions with the credentials of the last reload. Threads: the loop's alone.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "ports/secure_channel.h"

namespace dots::runtime {

class NewestConnector final : public ports::ChannelConnector {
 public:
  // REQUIRES: called before the first connect().
  void use(std::unique_ptr<ports::ChannelConnector> connector) { connector_ = std::move(connector); }
  base::Result<std::unique_ptr<ports::SecureChannel>> connect(const std::string& server_name,
                                                              ports::ChannelEvents& events) override {
    return connector_->connect(server_name, events);
  }

 private:
  std::unique_ptr<ports::ChannelConnector> connector_;
};

}  // namespace dots::runtime
