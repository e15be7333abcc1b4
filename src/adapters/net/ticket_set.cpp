#include "adapters/net/ticket_set.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>

#include "adapters/net/gnutls_handles.h"

namespace dots::adapters::net {
namespace {

constexpr unsigned kSessionTicketExtension = 35;  // RFC 5077 3.2
constexpr unsigned kPreSharedKeyExtension = 41;   // RFC 8446 4.2.11

gnutls_datum_t datum(base::ByteView bytes) {
  return {const_cast<unsigned char*>(bytes.data()), static_cast<unsigned>(bytes.size())};
}

int note_ticket(void* out, unsigned extension, const unsigned char* data, unsigned size) {
  auto& ticket = *static_cast<base::ByteView*>(out);
  base::ByteView body{data, size};
  if (extension == kPreSharedKeyExtension) {
    if (size < 4) return 0;
    const std::size_t length = static_cast<std::size_t>(body[2]) << 8 | body[3];
    body = body.subspan(4);
    body = body.first(std::min(length, body.size()));
  } else if (extension != kSessionTicketExtension) {
    return 0;
  }
  if (body.size() >= kTicketNameBytes) ticket = body.first(kTicketNameBytes);
  return 0;
}

// One end of the handshake that shows a ticket's name; both ends live in ticket_name().
struct End {
  gnutls_session_t session = nullptr;
  std::deque<base::Bytes> inbox;
  End* peer = nullptr;
  base::Bytes* name = nullptr;

  static ssize_t push(gnutls_transport_ptr_t self, const void* data, std::size_t size) {
    const auto* bytes = static_cast<const std::uint8_t*>(data);
    static_cast<End*>(self)->peer->inbox.emplace_back(bytes, bytes + size);
    return static_cast<ssize_t>(size);
  }
  static ssize_t pull(gnutls_transport_ptr_t self, void* data, std::size_t size) {
    auto& end = *static_cast<End*>(self);
    if (end.inbox.empty()) {
      gnutls_transport_set_errno(end.session, EAGAIN);
      return -1;
    }
    const std::size_t count = std::min(size, end.inbox.front().size());
    std::memcpy(data, end.inbox.front().data(), count);
    end.inbox.pop_front();
    return static_cast<ssize_t>(count);
  }
  static int pull_timeout(gnutls_transport_ptr_t self, unsigned) {
    return static_cast<End*>(self)->inbox.empty() ? 0 : 1;
  }
  // NewSessionTicket: lifetime (4), length (2), ticket (RFC 5077 3.3).
  static int on_ticket(gnutls_session_t session, unsigned, unsigned, unsigned, const gnutls_datum_t* message) {
    auto& end = *static_cast<End*>(gnutls_session_get_ptr(session));
    if (message->size < 6 + kTicketNameBytes) return GNUTLS_E_UNEXPECTED_PACKET_LENGTH;
    end.name->assign(message->data + 6, message->data + 6 + kTicketNameBytes);
    return 0;
  }
};

int choose_key(gnutls_session_t session, unsigned, unsigned, unsigned, const gnutls_datum_t* message) {
  auto& context = *static_cast<SessionContext*>(gnutls_session_get_ptr(session));
  const TicketKeys::Set& set = *context.tickets;
  const base::ByteView name = name_of_ticket({message->data, message->size}, context.datagram);
  const bool older = !name.empty() && std::ranges::any_of(set.before->names, [&](const base::Bytes& one) {
    return std::ranges::equal(one, name);
  });
  if (!older) return 0;
  const gnutls_datum_t key = datum(set.before->secret);
  return gnutls_session_ticket_enable_server(session, &key);
}

}  // namespace

int ticket_seconds(base::Duration period) {
  return static_cast<int>(std::max<std::uint64_t>(1, base::whole_seconds(period)));
}

base::ByteView name_of_ticket(base::ByteView hello, bool datagram) {
  base::ByteView name;
  const gnutls_datum_t data = datum(hello);
  const unsigned flag = datagram ? GNUTLS_EXT_RAW_FLAG_DTLS_CLIENT_HELLO : GNUTLS_EXT_RAW_FLAG_TLS_CLIENT_HELLO;
  if (gnutls_ext_raw_parse(&name, note_ticket, &data, flag) < 0) return {};
  return name;
}

int enable_tickets(gnutls_session_t session, const TicketKeys::Set& set) {
  gnutls_db_set_cache_expiration(session, ticket_seconds(set.period));
  const gnutls_datum_t key = datum(set.key.secret);
  if (set.before) {
    gnutls_handshake_set_hook_function(session, GNUTLS_HANDSHAKE_CLIENT_HELLO, GNUTLS_HOOK_PRE, choose_key);
  }
  return gnutls_session_ticket_enable_server(session, &key);
}

base::Result<base::Bytes> ticket_name(const base::Bytes& secret, base::Duration period) {
  constexpr char priorities[] =
      "NONE:+VERS-DTLS1.2:+COMP-NULL:+ANON-ECDH:+AES-128-CBC:+SHA1:+GROUP-X25519:+GROUP-SECP256R1:+SIGN-ALL";
  base::Bytes name;
  gnutls_anon_server_credentials_t server_credentials = nullptr;
  gnutls_anon_client_credentials_t client_credentials = nullptr;
  End server, client;
  server.peer = &client;
  client.peer = &server;
  server.name = &name;
  int code = gnutls_anon_allocate_server_credentials(&server_credentials);
  if (code >= 0) code = gnutls_anon_allocate_client_credentials(&client_credentials);
  const auto begin = [&](End& end, unsigned flags, void* credentials) {
    if (code >= 0) code = gnutls_init(&end.session, flags | GNUTLS_DATAGRAM | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL);
    if (code >= 0) code = gnutls_priority_set_direct(end.session, priorities, nullptr);
    if (code >= 0) code = gnutls_credentials_set(end.session, GNUTLS_CRD_ANON, credentials);
    if (code < 0) return;
    gnutls_session_set_ptr(end.session, &end);
    gnutls_transport_set_ptr(end.session, &end);
    gnutls_transport_set_push_function(end.session, End::push);
    gnutls_transport_set_pull_function(end.session, End::pull);
    gnutls_transport_set_pull_timeout_function(end.session, End::pull_timeout);
  };
  begin(server, GNUTLS_SERVER, server_credentials);
  begin(client, GNUTLS_CLIENT, client_credentials);
  if (code >= 0) {
    gnutls_db_set_cache_expiration(server.session, ticket_seconds(period));
    const gnutls_datum_t key = datum(secret);
    code = gnutls_session_ticket_enable_server(server.session, &key);
    gnutls_handshake_set_hook_function(server.session, GNUTLS_HANDSHAKE_NEW_SESSION_TICKET, GNUTLS_HOOK_POST,
                                       End::on_ticket);
  }
  for (int round = 0; code >= 0 && name.empty() && round < 16; ++round) {
    for (End* end : {&client, &server}) {
      const int step = gnutls_handshake(end->session);
      if (step < 0 && gnutls_error_is_fatal(step) != 0) code = step;
    }
  }
  for (End* end : {&client, &server}) {
    if (end->session != nullptr) gnutls_deinit(end->session);
  }
  if (server_credentials != nullptr) gnutls_anon_free_server_credentials(server_credentials);
  if (client_credentials != nullptr) gnutls_anon_free_client_credentials(client_credentials);
  if (code < 0) return base::Error{std::string{"the TLS library shows no ticket: "} + gnutls_strerror(code)};
  if (name.empty()) return base::Error{"the TLS library shows no ticket"};
  return name;
}

}  // namespace dots::adapters::net
