#include "policy/identities.h"

#include <gtest/gtest.h>

#include "base/bytes.h"

namespace dots::policy {
namespace {

DomainPolicy domain(const std::string& id, std::vector<ClientPolicy> clients) {
  DomainPolicy policy;
  policy.id = base::DomainId{id};
  policy.clients = std::move(clients);
  return policy;
}

model::PeerIdentity certificate(std::vector<std::string> names) {
  return {model::CredentialKind::x509, std::move(names), {}, INT64_MAX};
}
model::PeerIdentity psk(const std::string& identity) { return {model::CredentialKind::psk, {identity}, {}, INT64_MAX}; }

KnownClient known(const std::string& d, const std::string& c) { return {base::DomainId{d}, base::ClientId{c}}; }

// S9132-4.4-09, S9132-4.4-10, S8811-2.1-01
TEST(Identities, NamesAClientOfADomain) {
  const auto identities = Identities::build({
      domain("a", {{base::ClientId{"edge"}, {"Dots.Example.net"}, {"key-1", "key-2"}}}),
      domain("b", {{base::ClientId{"edge"}, {"dots.example.org"}, {"Key-1"}}}),
  });
  ASSERT_TRUE(identities);
  EXPECT_EQ(identities->find(certificate({"dots.example.NET"})), known("a", "edge"));
  EXPECT_EQ(identities->find(certificate({"unknown.example", "dots.example.org"})), known("b", "edge"));
  EXPECT_EQ(identities->find(psk("key-2")), known("a", "edge"));
  EXPECT_EQ(identities->find(psk("Key-1")), known("b", "edge"));
}

// S9132-9-02, S8811-2.1-01
TEST(Identities, StrangersAreNobody) {
  const auto identities = Identities::build({domain("a", {{base::ClientId{"edge"}, {"dots.example.net"}, {"key"}}})});
  ASSERT_TRUE(identities);
  EXPECT_FALSE(identities->find(certificate({"*.example.net"})));
  EXPECT_FALSE(identities->find(certificate({"www.dots.example.net"})));
  EXPECT_FALSE(identities->find(certificate({})));
  EXPECT_FALSE(identities->find(certificate({"key"})));
  EXPECT_FALSE(identities->find(psk("dots.example.net")));
  EXPECT_FALSE(identities->find(psk("KEY")));
  model::PeerIdentity raw = psk("key");
  raw.kind = model::CredentialKind::raw_public_key;
  EXPECT_FALSE(identities->find(raw));
}

TEST(Identities, ARawPublicKeyNamesItsClient) {
  const base::Bytes key(32, 0xab), other(32, 0xac);
  ClientPolicy edge{base::ClientId{"edge"}, {}, {}};
  edge.raw_public_keys = {base::to_hex(key)};
  const auto identities = Identities::build({domain("a", {edge})});
  ASSERT_TRUE(identities);
  const auto raw = [](const base::Bytes& fingerprint) {
    return model::PeerIdentity{model::CredentialKind::raw_public_key, {}, fingerprint, INT64_MAX};
  };
  EXPECT_EQ(identities->find(raw(key)), known("a", "edge"));
  EXPECT_FALSE(identities->find(raw(other)));
  EXPECT_FALSE(identities->find(raw({})));
  model::PeerIdentity certificate_of_that_key = raw(key);
  certificate_of_that_key.kind = model::CredentialKind::x509;
  EXPECT_FALSE(identities->find(certificate_of_that_key)) << "that is another credential";
  ClientPolicy second{base::ClientId{"second"}, {}, {}};
  second.raw_public_keys = edge.raw_public_keys;
  EXPECT_FALSE(Identities::build({domain("a", {edge, second})}));
}

TEST(Identities, RefusesWhatTwoClientsClaim) {
  const auto twice = [](ClientPolicy one, ClientPolicy two) {
    return Identities::build({domain("a", {std::move(one)}), domain("b", {std::move(two)})});
  };
  EXPECT_FALSE(twice({base::ClientId{"x"}, {"n.example"}, {}}, {base::ClientId{"y"}, {"N.example."}, {}}));
  EXPECT_FALSE(twice({base::ClientId{"x"}, {}, {"k"}}, {base::ClientId{"y"}, {}, {"k"}}));
  EXPECT_TRUE(twice({base::ClientId{"x"}, {}, {"k"}}, {base::ClientId{"y"}, {"k"}, {}}));
  EXPECT_FALSE(Identities::build({domain("a", {}), domain("a", {})}));
  EXPECT_FALSE(Identities::build({domain("a", {{base::ClientId{"x"}, {}, {}}, {base::ClientId{"x"}, {}, {}}})}));
  EXPECT_FALSE(Identities::build({domain("a", {{base::ClientId{"x"}, {"*.example.net"}, {}}})}));
  EXPECT_FALSE(Identities::build({domain("a", {{base::ClientId{"x"}, {""}, {}}})}));
}

}  // namespace
}  // namespace dots::policy
