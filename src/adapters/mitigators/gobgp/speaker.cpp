#include "adapters/mitigators/gobgp/speaker.h"

#include <gobgp_api.grpc.pb.h>
#include <grpcpp/grpcpp.h>

#include "adapters/mitigators/gobgp/messages.h"

namespace dots::adapters::mitigators::gobgp {

struct Speaker::State {
  SpeakerOptions options;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<apipb::GobgpApi::Stub> stub;

  std::chrono::system_clock::time_point deadline() const { return std::chrono::system_clock::now() + options.timeout; }
  base::Error error(const grpc::Status& status) const {
    if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED)
      return {"GoBGP at " + options.api + " did not answer in time"};
    if (status.error_code() == grpc::StatusCode::UNAVAILABLE) return unreachable();
    return {"GoBGP at " + options.api + ": " + status.error_message()};
  }
  base::Error unreachable() const {
    return {"GoBGP at " + options.api + " cannot be reached; is gobgpd running with --api-hosts " + options.api +
            ", and may this daemon use it?"};
  }
  bool ready() const { return channel && channel->GetState(false) == GRPC_CHANNEL_READY; }
};

Speaker::Speaker(SpeakerOptions options) : state_(std::make_unique<State>()) { state_->options = std::move(options); }
Speaker::~Speaker() = default;

base::Result<void> Speaker::connect() {
  if (state_->ready()) return {};
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // no memory of earlier failures
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetMaxReceiveMessageSize(-1);
  state_->channel = grpc::CreateCustomChannel(state_->options.api, grpc::InsecureChannelCredentials(), arguments);
  state_->stub = apipb::GobgpApi::NewStub(state_->channel);
  const auto deadline = state_->deadline();
  for (auto now = state_->channel->GetState(true); now != GRPC_CHANNEL_READY; now = state_->channel->GetState(true)) {
    if (now == GRPC_CHANNEL_TRANSIENT_FAILURE || now == GRPC_CHANNEL_SHUTDOWN ||
        !state_->channel->WaitForStateChange(now, deadline)) {
      state_->stub.reset();
      state_->channel.reset();
      return state_->unreachable();
    }
  }
  return {};
}

base::Result<void> Speaker::send(const std::vector<Route>& routes) {
  if (routes.empty()) return {};
  if (!state_->stub) return state_->unreachable();
  apipb::AddPathStreamRequest request;
  for (const Route& route : routes) *request.add_paths() = path_of(route);
  grpc::ClientContext context;
  context.set_deadline(state_->deadline());
  apipb::Nothing answer;
  const auto writer = state_->stub->AddPathStream(&context, &answer);
  // What went wrong with writing is told by Finish().
  if (writer->Write(request)) writer->WritesDone();
  if (const auto status = writer->Finish(); !status.ok()) return state_->error(status);
  return {};
}

base::Result<void> Speaker::send_alone(const Route& route) {
  if (!state_->stub) return state_->unreachable();
  apipb::AddPathRequest request;
  *request.mutable_path() = path_of(route);
  grpc::ClientContext context;
  context.set_deadline(state_->deadline());
  apipb::AddPathResponse answer;
  if (const auto status = state_->stub->AddPath(&context, request, &answer); !status.ok()) return state_->error(status);
  return {};
}

base::Result<std::vector<SeenRoute>> Speaker::routes(RouteKind kind, const Marker& marker) {
  std::vector<SeenRoute> out;
  if (!state_->stub) return state_->unreachable();
  for (const model::Family family : {model::Family::ipv4, model::Family::ipv6}) {
    apipb::ListPathRequest request;
    *request.mutable_family() = family_of(family, kind);
    request.set_enable_only_binary(true);
    grpc::ClientContext context;
    context.set_deadline(state_->deadline());
    const auto reader = state_->stub->ListPath(&context, request);
    for (apipb::ListPathResponse answer; reader->Read(&answer);) {
      std::optional<bool> first_is_ours;  // the first is the one that is preferred
      for (const apipb::Path& path : answer.destination().paths()) {
        const bool learned = model::parse_ip_address(path.neighbor_ip()).ok();
        auto large = learned ? std::vector<LargeCommunity>{} : large_communities_of(path);
        const bool ours = is_marked(marker, large);
        if (!first_is_ours) first_is_ours = ours;
        if (!ours) continue;
        const base::ByteView nlri = base::as_bytes(path.nlri_binary());
        out.push_back({family, kind, base::Bytes(nlri.begin(), nlri.end()), path.identifier(), std::move(large),
                       !*first_is_ours});
      }
    }
    if (const auto status = reader->Finish(); !status.ok()) return state_->error(status);
  }
  return out;
}

base::Result<std::set<base::Bytes>> Speaker::announced(const model::IpAddress& peer, model::Family family,
                                                       RouteKind kind) {
  std::set<base::Bytes> out;
  if (!state_->stub) return state_->unreachable();
  apipb::ListPathRequest request;
  request.set_table_type(apipb::ADJ_OUT);
  request.set_name(model::to_string(peer));
  *request.mutable_family() = family_of(family, kind);
  request.set_enable_only_binary(true);
  grpc::ClientContext context;
  context.set_deadline(state_->deadline());
  const auto reader = state_->stub->ListPath(&context, request);
  for (apipb::ListPathResponse answer; reader->Read(&answer);) {
    for (const apipb::Path& path : answer.destination().paths()) {
      const base::ByteView nlri = base::as_bytes(path.nlri_binary());
      out.emplace(nlri.begin(), nlri.end());
    }
  }
  if (const auto status = reader->Finish(); !status.ok()) return state_->error(status);
  return out;
}

base::Result<std::vector<PeerView>> Speaker::peers() {
  if (!state_->stub) return state_->unreachable();
  grpc::ClientContext context;
  context.set_deadline(state_->deadline());
  const auto reader = state_->stub->ListPeer(&context, {});
  std::vector<PeerView> out;
  for (apipb::ListPeerResponse answer; reader->Read(&answer);) out.push_back(peer_of(answer.peer()));
  if (const auto status = reader->Finish(); !status.ok()) return state_->error(status);
  return out;
}

}  // namespace dots::adapters::mitigators::gobgp
