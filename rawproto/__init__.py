"""rawproto: protocols of one's own above IP.

Every public name is importable from here; each is loaded when it is first used, so that ``import rawproto``
costs next to nothing and brings in neither numpy nor a network interface.
"""

from __future__ import annotations

from rawproto._face import face

__version__ = "0.1.0"

_HOMES = {
    ".addr": """
        ACL IP IPAddr IPMask IPNet RSPAddr TCPAddr UDPAddr cidr_mask format_ips ips_of ipv4 ipv4_mask
        join_host_port parse_cidr parse_ip parse_ips split_host_port
    """,
    ".errors": """
        AddrError ClosedError ConfigError ConnectionAborted ConnectionRefused ConnectionReset DNSError
        DNSTimeoutError DeadlineExceeded DeclarationError DecodeError EncodeError ExpectationError FilterError
        InvariantError LabError OpError PrivilegeError RawprotoError TLSError UnexpectedEOF
        UnknownNetworkError
    """,
    ".lab": "Blackhole Corruption GilbertElliott Host Lab Simulation",
    ".link": """
        Allow AsyncRawSocket Broker ChecksumState DatagramError IPConn Link LinkStats MemoryLink MemoryNetwork
        PacketLink RawLink RawSocket Received UDPLink ask_broker dial_ip drop_privileges has_capability
        listen_ip
    """,
    ".net": """
        Conn ConnStats ConnectionPool Listener UDPConn dial dial_tcp dial_udp listen listen_tcp listen_udp run
    """,
    ".protocol": "DatagramProtocol Protocol",
    ".resolve": """
        AsyncResolver MX NS Resolver SRV lookup_addr lookup_cname lookup_host lookup_ip lookup_mx lookup_ns
        lookup_port lookup_protocol lookup_srv lookup_txt resolve_addrs resolve_ip_addr resolve_rsp_addr
        resolve_tcp_addr resolve_udp_addr
    """,
    ".rsp": "RSPConfig",
    ".wire": """
        BPFProgram Batch CommercialSecurity Constant DNSSearchList Datagram DestinationOptions
        ExperimentalTCPOption ExtendedEchoCode ExtensionClass ExtensionObject FastOpen FieldInfo Flag Flags
        Fragment FragmentDrop Header HomeAddress HopByHop ICMP ICMPAddressMask ICMPError ICMPErrorKind
        ICMPExtensions ICMPRouterAdvertisement ICMPTimestamp ICMPTraceroute ICMPType ICMPv6
        ICMPv6ParameterProblemCode ICMPv6TimeExceededCode ICMPv6Type ICMPv6UnreachableCode IPProtocol
        IPTimestamp IPTraceroute IPv4 IPv4EOL IPv4NOP IPv4Option IPv4OptionType IPv6 IPv6Option IPv6OptionType
        IPv6QuickStart IPv6RouterAlert IdentificationSequence InterfaceIdentification InterfaceInformation
        JumboPayload LinkMTU LinkType LooseSourceRoute MLDMessage MLDQuery MLDRecord MLDRecordType MLDReport
        MPLSLabel MPLSLabelStack MPTCP MPTCPSubtype MSS MTUProbe MTUReply MinimumPathMTU MobileRouting
        NAT64Prefix NDPOption NDPOptionType NeighborAdvertisement NeighborSolicitation NodeInformation Nonce
        OpenEnum OptionFormat Overlay Pad1 PadN ParameterProblemCode PcapngReader PcapngWriter
        PrefixInformation QuickStart QuickStartResponse RPLOption RawExtension RawIPv4Option RawIPv6Option
        RawNDPOption RawRouting RawTCPOption Reassembler ReceivedBatch RecordRoute RecursiveDNSServer Redirect
        RedirectCode RedirectedHeader RouteInformation RouterAdvertisement RouterAlert RouterEntry
        RouterSolicitation Routing RoutingType SACK SACKBlock SACKPermitted SRHHMAC SRHTLV Security
        SegmentRouting SourceLinkLayerAddress SourceRouting StreamID StrictSourceRoute TCP TCPAuthentication
        TCPEOL TCPFlags TCPMD5 TCPNOP TCPOption TCPOptionKind TCPTimestamps TargetLinkLayerAddress
        TimeExceededCode Transmit TunnelEncapsulationLimit UDP UnreachableCode UserTimeout WindowScale
        assemble bits build_batch checksum checksum16 checksum_update checksums declare enum16 enum32 enum8
        enum_bits field_column fixed flag flag_bits flags16 flags32 flags8 fragment header_checksum16 ip4 ip6
        join_quote length16 length8 length_bits list_of next_protocol8 opaque options parse_batch
        pseudo_checksum16 pseudo_header scaled split_quote u16 u16le u24 u32 u32le u40 u48 u64 u64le u8
        verify_batch
    """,
}

__all__, __getattr__, __dir__ = face(__name__, _HOMES, modules=("aio",))
