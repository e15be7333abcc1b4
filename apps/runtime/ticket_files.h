// Where session tickets live over a restart: the server's keys and the client's tickets, in the state directory, for
// the daemon's user alone.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "adapters/net/ticket_cache.h"
#include "adapters/net/ticket_keys.h"
#include "ops/config.h"
#include "ops/facts/messages.h"

namespace dots::runtime {

inline constexpr char kTicketKeysFile[] = "ticket-keys";
inline constexpr char kTicketsFile[] = "tickets";

std::vector<adapters::net::Psk> psks_of(const ops::Config& config);

// Nothing when tickets are turned off. Keys that cannot be kept serve until the daemon ends.
base::Result<std::shared_ptr<adapters::net::TicketKeys>> open_ticket_keys(const ops::Config& config,
                                                                          ops::facts::Sink& sink);
// Gives the key its turn when it is due; call each minute, on a thread that may wait for a disk.
void turn_ticket_keys(adapters::net::TicketKeys& keys, ops::facts::Sink& sink);
void rebind_ticket_keys(adapters::net::TicketKeys& keys, const ops::Config& config, ops::facts::Sink& sink);

// `write_later` runs a job where it may wait for a disk. Nothing when tickets are turned off.
std::shared_ptr<adapters::net::TicketCache> open_ticket_cache(const ops::Config& config, ops::facts::Sink& sink,
                                                              std::function<void(std::function<void()>)> write_later);

// A stamp that changes when the file is replaced or written; empty when there is no file.
std::string file_stamp(const std::string& path);

}  // namespace dots::runtime
