/** Entry of the network thread: switches, gateways and all frames. */
import { networkThread } from '../../src-shared/threads/network-thread.ts'
import { reportFault } from '../network/faults.ts'
import { NetworkService } from '../network/network-service.ts'
import { serveThread } from './serve-thread.ts'
import { threadUrl } from './thread-url.ts'

serveThread((server) => server.register(networkThread, new NetworkService(threadUrl('tap')).handlers))

// Sockets, timers and promises have no caller that could catch what goes wrong in them. One machine's packet must not part all machines from their networks.
process.on('uncaughtException', reportFault)
