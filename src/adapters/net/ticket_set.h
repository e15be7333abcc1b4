// Ticket keys as GnuTLS takes them; not for other rooms.
//
// GnuTLS knows one key for a session and derives others from it as time passes. To open what the key before sealed, a
// server must choose before GnuTLS reads the ticket: tickets begin with a name of their key.
#pragma once

#include <gnutls/gnutls.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "adapters/net/ticket_keys.h"

namespace dots::adapters::net {

inline constexpr std::size_t kTicketKeyBytes = 64;
inline constexpr std::size_t kTicketNameBytes = 16;

struct TicketKey {
  base::WallTime made;
  base::Bytes secret;              // kTicketKeyBytes
  std::vector<base::Bytes> names;  // of the tickets that it sealed, newest last
};

struct TicketKeys::Set {
  TicketKey key;
  std::optional<TicketKey> before;
  base::Duration period;
};

// The name that tickets of this key have now: asks GnuTLS by a handshake in memory.
base::Result<base::Bytes> ticket_name(const base::Bytes& secret, base::Duration period);

// The first bytes of the ticket that a ClientHello brings (TLS 1.2: session_ticket; TLS 1.3: the first PSK identity);
// empty without one. `hello` is the whole message without its header.
base::ByteView name_of_ticket(base::ByteView hello, bool datagram);

// The session seals and opens tickets with this set: its SessionContext::tickets, which is set before.
int enable_tickets(gnutls_session_t session, const TicketKeys::Set& set);

// Seconds, as GnuTLS takes them.
int ticket_seconds(base::Duration period);

}  // namespace dots::adapters::net
