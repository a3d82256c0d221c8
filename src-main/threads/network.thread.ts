/** Entry of the network thread: switches, gateways and all frames. */
import { networkThread } from '../../src-shared/threads/network-thread.ts'
import { NetworkService } from '../network/network-service.ts'
import { serveThread } from './serve-thread.ts'
import { threadUrl } from './thread-url.ts'

serveThread((server) => server.register(networkThread, new NetworkService(threadUrl('tap')).handlers))
