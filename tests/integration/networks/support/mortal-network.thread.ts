/** The network thread, which dies when a machine's card is cut that is impaired with the seed 13. */
import { NetworkService } from '../../../../src-main/network/network-service.ts'
import { serveThread } from '../../../../src-main/threads/serve-thread.ts'
import { threadUrl } from '../../../../src-main/threads/thread-url.ts'
import { networkThread } from '../../../../src-shared/threads/network-thread.ts'

serveThread((server) => {
  const { handlers } = new NetworkService(threadUrl('tap'))
  server.register(networkThread, {
    ...handlers,
    setPort: (change, context) => {
      if (change.cut && change.impairment?.seed === 13) process.exit(5)
      return handlers.setPort(change, context)
    },
  })
})
