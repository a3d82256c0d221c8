/** The `app` service: shows the window of a host that runs already to whoever asks on the local socket. */
import type { app } from '../../../src-shared/api/app.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import type { RpcServer } from '../../../src-shared/rpc/server.ts'
import type { Handlers } from '../../../src-shared/rpc/service.ts'

export function appHandlers(server: RpcServer, rendererFolder: string): Handlers<typeof app> {
  return {
    serve: async (options, stream, { peer, signal }) => {
      // A window must not open further doors: a served one would let its user listen on every address of this computer.
      if (peer.kind === 'window')
        throw new AppError('denied', 'A window cannot start serving. Use “coppice serve” on the computer that runs Coppice.')
      // Loaded when first asked for: most hosts never serve.
      const { serve } = await import('../serve/serve.ts')
      const served = await serve({ server }, { ...options, rendererFolder })
      const close = (): void => void served.close()
      if (stream.closed || signal.aborted) close()
      else stream.onClose(close)
      void stream.read().then(
        // The caller's end of the stream means the same as its closing.
        () => stream.close(),
        () => {},
      )
      return { url: served.url, port: served.port, warning: served.warning }
    },
  }
}
