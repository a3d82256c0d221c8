/** The serving side of the local socket: makes a host reachable for the command line and for a second launch of the window. */
import { app } from '../../../src-shared/api/app.ts'
import type { RpcServer } from '../../../src-shared/rpc/server.ts'
import { rendererFolder } from '../paths.ts'
import { appHandlers } from './app-service.ts'
import { claimLibrary, type Claim } from './claim.ts'

/**
 * Serves `host` on the library's local socket.
 * @param claim the library's claim where it was taken before the host started (the safe order); else it is taken now
 * @returns the claim: its `close` ends all connections and gives the library free
 * @throws AppError `already-exists` where another host has the library
 */
export async function listenLocal(host: { readonly server: RpcServer }, library: string, claim?: Claim): Promise<Claim> {
  const held = claim ?? (await claimLibrary(library))
  host.server.register(app, appHandlers(host.server, rendererFolder))
  held.serve(host.server)
  return held
}
