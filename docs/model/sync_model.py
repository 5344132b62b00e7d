#!/usr/bin/env python3
"""Explicit-state model of delivery and catching up: what docs/protocol.md calls "How a client stays right". Standard library only.

    sync_model.py                     every configuration, then every mutant
    sync_model.py base large          these configurations
    sync_model.py --mutants           only the mutant table
    sync_model.py --mutant merge      one rule broken, in the configurations meant to refute it
    ... --trace                       with the shortest trace of each broken rule
    sync_model.py --list              names

One conversation, one user with one device. The server commits a fixed list of operations (`line`), one rev each:
's' a send, a digit an edit or a deletion of that seq (to a reader both are a row with a higher rev), 'L' and 'l' the
group becomes large, small again (the conversation row). A row image is the rev that wrote it (+100 on a line restored
from an older prefix), so "what the server held at (history, rev)" is a table. A request is two moments: the answer is
computed, and later applied; frames may arrive between. Checked:

  safety    in every state, inside the interval shown: no hole, no image that never was on this line, none older than at the
            rev the device claims; a shown image and the claimed rev never go back; at the tail, no message of the claimed rev missing
  liveness  from every state, with no more commits, cuts, crashes, losses and user actions, every run of the rest
            (dispatch, inbox commits, frames in flight, the device's own reactions) ends, and ends equal to the server
"""
import sys, time

NAMES = ('H r p q d n ir iu u uh conn ov box cuts crash over rest loss other loads '
         'dh R heard rows lo hi tail cont held ch pg sy need cur want').split()
(H, r, p, q, d, n, ir, iu, u, uh, CONN, OV, BOX, CUTS, CRASH, OVER, REST, LOSS, OTHER, LOADS,
 DH, R, HEARD, ROWS, LO, HI, TAIL, CONT, HELD, CH, PG, SY, NEED, CUR, WANT) = range(len(NAMES))
# server: history, rev committed, handed to the hub up to p and to the inbox map up to q, cursor on disk, pending inbox entry,
#   inbox row (applied rev, its user_rev), newest user_rev, user history; connection 0 none, 1 in the hub, 2 hello read, 3 hello but not in the hub
# device: history, own rev, highest rev heard of (= its chat list entry), rows, interval, interval ends at the newest message,
#   inside a `changes` with more, page held back, answers in flight, /sync due, cursor, page wanted


class Broken(Exception):
    pass


class Model:
    def __init__(self, cfg, mutants=()):
        c = dict(line='s1s', init=1, k=0, line1='', restore='full', cuts=1, crash=0, over=0, rest=0, loss=0, other=0, loads='', limit=9,
                 size=9, start='loaded', nodes=1, heartbeat=False, split_dispatch=False, split_read=False, evhist=True, bushb=False,
                 adopt=False,
                 resetall=False, holdsync=False, entryrow=False)
        c.update(cfg)
        self.__dict__.update(c)
        self.M = frozenset(mutants)
        self.lines = [self.line, self.line[:self.k] + self.line1]
        self.nseq = max(l.count('s') for l in self.lines)
        self.T, self.EV, self.LG, self.VALID, self.INFO = [], [], [], [], []
        for h, ops in enumerate(self.lines):
            rows, T, EV, LG, info, INFO = [], [()], [None], [False], 0, [0]
            big = ops[:1] == 'G'                          # 'G' first: large from its creation
            for i, o in enumerate(ops):
                v = i + 1 + (100 if h and i >= self.k else 0)
                if o == 's':
                    rows.append(v); e = (len(rows), v)
                elif o.isdigit():
                    rows[int(o) - 1] = v; e = (int(o), v)
                else:
                    big = o in 'LG'; info = i + 1; e = (0, v)
                T.append(tuple(rows)); EV.append(e); LG.append(big); INFO.append(info)
            self.T.append(T); self.EV.append(EV); self.LG.append(LG); self.INFO.append(INFO)
            self.VALID.append([{t[q_] for t in T if len(t) > q_} for q_ in range(self.nseq)])

    def initial(self):
        i, z = self.init, (0,) * self.nseq
        s = [0] * len(NAMES)
        s[r] = s[p] = s[q] = s[d] = s[ir] = s[iu] = s[u] = i
        s[BOX] = ()
        s[CUTS], s[CRASH], s[OVER], s[REST], s[LOSS], s[OTHER], s[LOADS] = (
            self.cuts, self.crash, self.over, self.rest, self.loss, self.other, self.loads)
        s[ROWS], s[HELD], s[CH], s[PG], s[SY], s[WANT] = z, None, None, None, None, ''
        s[DH], s[CUR], s[CONN] = -1, (-1, 0), 0
        if self.start != 'fresh':                        # signed in, list known, connected
            s[DH], s[HEARD], s[CUR], s[CONN] = 0, i, (0, i), 2
        if self.start == 'loaded':                       # ... and the newest `size` messages cached
            t = self.T[0][i]
            lo = max(1, len(t) - self.size + 1)
            s[R], s[LO], s[HI], s[TAIL] = i, lo, len(t), 1
            s[ROWS] = tuple(t[x] if lo - 1 <= x < len(t) else 0 for x in range(self.nseq))
        return self.canon(s)

    def canon(self, t):
        if not t[CRASH]:
            t[d] = 0
        return tuple(t)

    # ---------------------------------------------------------------- server
    def emit(self, t, f):
        if t[CONN] in (1, 2):
            t[BOX] += (f,)

    def changes(self, h, since, now, noted):
        """Rows with rev > since as they are at `now`, in rev order, cut at `limit`; declared rev never above `noted`."""
        rs = [(x % 100, i + 1, x) for i, x in enumerate(self.T[h][now]) if x % 100 > since]
        if self.INFO[h][now] > since:
            rs.append((self.INFO[h][now], 0, 0))
        rs.sort()
        C, more = noted, False
        if len(rs) > self.limit:
            more = True
            if 'cut' not in self.M:
                C = min(C, rs[self.limit][0] - 1)
            rs = rs[:self.limit]
        return tuple((b, c) for a, b, c in rs), C, more

    def page(self, t, now, noted):
        kind, rows = t[WANT], self.T[t[H]][now]
        head = len(self.T[t[H]][noted])
        if kind == 'L':
            a, b = max(1, head - self.size + 1), head
        elif kind == 'F':
            a, b = 1, 1
        elif kind == 'B':
            a, b = max(1, t[LO] - self.size), t[LO] - 1
        else:
            a, b = t[HI] + 1, min(head, t[HI] + self.size)
        return (kind, t[H], noted, a, b, rows[a - 1:b], int(b == head))

    # ---------------------------------------------------------------- device
    def drop(self, t, h, rev):
        """Another history: drop the conversation, load it again; answers still in flight are thrown away."""
        had = t[HI] or t[WANT] or t[PG]
        t[ROWS] = (0,) * self.nseq
        t[R] = t[LO] = t[HI] = t[TAIL] = t[CONT] = 0
        t[HELD] = None
        t[DH], t[HEARD] = h, rev
        if had and not ('keepreq' in self.M and t[PG]):
            t[WANT] = 'L'
        if 'keepreq' not in self.M:
            t[CH] = t[PG] = None

    def put(self, t, seq, img):
        if not t[LO] <= seq or not seq or (seq > t[HI] + 1 and not t[TAIL]):
            return
        rows = t[ROWS]
        if rows[seq - 1] and rows[seq - 1] % 100 >= img % 100 and 'merge' not in self.M:
            return
        rows = rows[:seq - 1] + (img,) + rows[seq:]
        hi = t[HI]
        if 'showall' in self.M:
            hi = max(hi, seq)
        while hi < self.nseq and rows[hi]:
            hi += 1
        t[ROWS], t[HI] = rows, hi

    def event(self, t, h, rev):
        if self.evhist and t[DH] not in (-1, h) and 'history' not in self.M:
            return self.drop(t, h, rev)
        if self.evhist and t[DH] == -1:                  # a rev heard of belongs to a history
            t[DH] = h
        if not t[HI]:
            if 'forget' not in self.M:
                t[HEARD] = max(t[HEARD], rev)
            return
        if rev == t[R] + 1 or (rev > t[R] and 'jump' in self.M):
            self.put(t, *self.EV[h][rev])
            t[R] = rev
        t[HEARD] = max(t[HEARD], rev)

    def show_page(self, t, P, a, b, rows, tail):
        """Merge a page (or a held page) that is not older than the device's own rev."""
        if not (a <= t[HI] + 1 and b >= t[LO] - 1) or b < a:
            if b < a and a == t[HI] + 1 and tail:
                t[TAIL] = 1
            return
        rs = list(t[ROWS])
        for i in range(a, b + 1):
            x = rows[i - a]
            if x and (not rs[i - 1] or rs[i - 1] % 100 < x % 100 or 'merge' in self.M):
                rs[i - 1] = x
        if b >= t[HI] and tail:
            t[TAIL] = 1
        t[LO], t[HI], t[ROWS] = min(t[LO], a), max(t[HI], b), tuple(rs)
        if 'pagerev' in self.M and P > t[R]:
            t[R] = P

    def try_held(self, t):
        if t[HELD] and (t[HELD][0] >= t[R] or 'once' in self.M):
            P, a, b, rows, tail = t[HELD]
            t[HELD] = None
            self.show_page(t, P, a, b, rows, tail)

    def apply_page(self, t, ans):
        kind, h, P, a, b, rows, tail = ans
        t[WANT] = ''
        if t[DH] not in (-1, h) and 'history' not in self.M:
            if not self.adopt:
                t[WANT] = 'L'
                return self.drop(t, -1, 0)
            self.drop(t, h, 0)
            t[WANT] = ''
            kind = 'L'
        if not t[HI]:
            if kind in 'BA':
                t[WANT] = 'L'
                return
            t[DH] = h if t[DH] == -1 or 'history' not in self.M else t[DH]
            t[R], t[LO], t[HI], t[TAIL] = P, a, b, tail
            t[ROWS] = (0,) * (a - 1) + rows + (0,) * (self.nseq - b)
            if 'forget' not in self.M or P > t[HEARD]:
                t[HEARD] = max(t[HEARD], P)
            return
        if P < t[R] and 'pageold' not in self.M:
            t[HELD] = (P, a, b, rows, tail)
        else:
            self.show_page(t, P, a, b, rows, tail)

    def apply_changes(self, t, ans):
        h, since, rows, C, more = ans
        if rows is None:
            return self.drop(t, -1, 0)
        if h != t[DH] or not t[HI]:
            return
        if t[HELD] and since <= t[HELD][0]:
            P, a, b, hr, tail = t[HELD]
            hr = list(hr)
            for seq, x in rows:
                if a <= seq <= b and (hr[seq - a] % 100 < x % 100 or 'merge' in self.M):
                    hr[seq - a] = x
                elif tail and seq == b + 1:
                    hr.append(x); b += 1
                elif tail and seq > b + 1:
                    tail = 0                             # a gap: the page no longer ends at the newest message
            t[HELD] = (max(P, C), a, b, tuple(hr), tail)
        for seq, x in rows:
            self.put(t, seq, x)
        if C > t[R] and since <= t[R]:
            t[R] = C
        t[CONT] = int(more and 'more' not in self.M)
        t[HEARD] = max(t[HEARD], C)
        self.try_held(t)

    def apply_sync(self, t, ans):
        h, v, e = ans
        reset = t[CUR][0] not in (-1, h) and 'history' not in self.M
        t[CUR] = (h, v)
        if reset and self.resetall and e:
            self.drop(t, e[0], e[1])
        elif e:
            if t[DH] not in (-1, e[0]) and 'history' not in self.M:
                self.drop(t, e[0], e[1])
            else:
                t[DH] = e[0] if t[DH] == -1 else t[DH]
                t[HEARD] = max(t[HEARD], e[1])

    # ---------------------------------------------------------------- steps: (label, quiet, state)
    def steps(self, s):
        M, out = self.M, []

        def add(label, quiet, t):
            out.append((label, quiet, self.canon(t)))

        # ---- the world
        if s[r] < len(self.lines[s[H]]):
            t = list(s); t[r] += 1
            add('commit %d' % t[r], False, t)

        def cut(t, label, keep_conn=False):
            """Connections go; answers in flight arrive all the same, or not."""
            if not keep_conn:
                t[CONN], t[BOX], t[OV] = 0, (), 0
            for x in (CH, PG, SY):
                if t[x] and t[x][0] == 'note':
                    t[x] = None
            add(label, False, t)
            if t[CH] or t[PG] or t[SY]:
                t = list(t)
                t[NEED] = 1 if t[SY] else t[NEED]
                t[CH] = t[PG] = t[SY] = None
                add(label + ', answers lost', False, t)

        if s[CUTS] and s[CONN]:
            t = list(s); t[CUTS] -= 1
            cut(t, 'connection cut')
        if s[CRASH]:
            t = list(s); t[CRASH] -= 1
            t[p] = t[q] = s[r] if 'cursor' in M else s[d]
            t[n] = 0
            cut(t, 'server crash', self.nodes == 2)
            safe = s[p] if 'cursorhub' in M else s[q] if not s[n] else s[d]
            if safe > s[d]:
                t = list(s); t[d] = safe
                add('cursor saved at %d' % safe, False, t)
        if s[OVER] and s[BOX]:
            for keep in range(len(s[BOX])):
                t = list(s); t[OVER] -= 1
                t[BOX] = s[BOX][:keep]
                t[OV] = 0 if 'nosyncreq' in M else 1
                add('outbox overflows, %d frames dropped' % (len(s[BOX]) - keep), False, t)
        if s[REST] and s[H] == 0 and s[r] > self.k:
            for back in (0, 1):
                t = list(s); t[REST] -= 1
                j = self.k - back
                t[H], t[r], t[p], t[q], t[d], t[n] = 1, self.k, j, j, j, 0
                if self.restore == 'full':               # the user's rows come from the same backup
                    t[ir] = t[iu] = t[u] = j
                    t[uh] = 1
                elif self.restore in ('touch', 'live'):  # only the conversation; members' inbox rows are touched
                    t[ir] = self.k
                    t[u] += 1
                    t[iu] = t[u]
                    if self.restore == 'live':           # ... under the eyes of connected devices
                        self.emit(t, ('i', 1, t[ir], t[u]))
                cut(t, 'restore to rev %d (handed out up to %d), new history' % (self.k, j), self.restore == 'live')
        if s[LOSS] and s[BOX]:                           # two nodes: the bus lost the newest message
            t = list(s); t[LOSS] -= 1; t[BOX] = s[BOX][:-1]
            t[OV] = 1 if self.bushb else s[OV]
            add('bus loses ' + self.frame(s[BOX][-1]), False, t)
        if s[OTHER]:                                     # another conversation of this user
            t = list(s); t[OTHER] -= 1; t[u] += 1
            self.emit(t, ('o', s[H], 0, t[u]))
            add('inbox row of another conversation', False, t)
        if s[LOADS] and not s[WANT] and not s[PG] and not s[HELD]:
            k = s[LOADS][0]
            if (s[HI] and (k == 'B' and s[LO] > 1 or k == 'A')) or (not s[HI] and k in 'LF'):
                t = list(s); t[LOADS] = s[LOADS][1:]; t[WANT] = k
                add('user asks for page %s' % k, False, t)

        # ---- server's own work
        def to_map(t, rev):
            t[q] = rev
            mode = self.LG[s[H]][rev - 1 if 'flipold' in M else rev]
            if not mode:
                t[n] = max(t[n], rev)

        if s[p] < s[r]:
            t = list(s); t[p] += 1
            self.emit(t, ('e', s[H], t[p]))
            if not self.split_dispatch:
                to_map(t, t[p])
            add('dispatch %d' % t[p], True, t)
        if s[q] < s[p]:
            t = list(s)
            to_map(t, s[q] + 1)
            add('inbox map takes %d' % t[q], True, t)
        if s[n]:
            t = list(s); t[n] = 0
            if s[n] > s[ir]:
                t[ir] = s[n]; t[u] += 1; t[iu] = t[u]
                if 'noinbox' not in M:
                    self.emit(t, ('i', s[H], t[ir], t[u]))
            add('inbox row commits rev %d' % s[n], True, t)
        if s[OV]:
            t = list(s); t[OV] = 0
            self.emit(t, ('q',))
            add('sync_required queued', True, t)

        # ---- connection
        if s[CONN] == 0:
            t = list(s); t[CONN] = 1
            if 'hello' in M:
                t[CONN], t[NEED] = 3, 1
            add('hello read, not yet in the hub' if 'hello' in M else 'registered in the hub', True, t)
        elif s[CONN] == 1:
            t = list(s); t[CONN], t[NEED] = 2, 1
            add('hello', True, t)
        elif s[CONN] == 3:
            t = list(s); t[CONN] = 2
            add('registered in the hub', True, t)
        if s[CONN] == 2 and s[BOX] and not (self.holdsync and (s[NEED] or s[SY])):
            t = list(s)
            f, t[BOX] = s[BOX][0], s[BOX][1:]
            if f[0] == 'e':
                self.event(t, f[1], f[2])
            elif f[0] in 'io':
                if f[0] == 'o':
                    pass
                elif self.evhist and t[DH] not in (-1, f[1]) and 'history' not in M:
                    self.drop(t, f[1], f[2])
                elif t[HI] or 'forget' not in M:
                    t[HEARD] = max(t[HEARD], f[2])
                    if self.evhist and t[DH] == -1:
                        t[DH] = f[1]
                if 'curevents' in M:
                    t[CUR] = (t[CUR][0], max(t[CUR][1], f[3]))
            elif not ('coalesce' in M and s[SY]):
                t[NEED] = 1
            add('device reads ' + self.frame(f), True, t)
        if self.heartbeat and s[CONN] == 2 and not s[NEED] and not s[SY] and s[CUR] != (s[uh], s[u]) and s[CUR][1] < s[u]:
            t = list(s); t[NEED] = 1
            add('heartbeat shows user_rev %d' % s[u], True, t)

        # ---- requests: computed at one moment, applied at a later one
        if s[NEED] and not s[SY] and s[CONN] in (2, 3):
            t = list(s); t[NEED] = 0
            if self.LG[s[H]][s[r]] and s[r] > s[ir]:
                t[ir] = s[r]; t[u] += 1; t[iu] = t[u]
            e = None
            pend = s[n] and self.nodes == 1 and 'nopending' not in M
            if s[CUR][0] != s[uh] or t[iu] > s[CUR][1] or pend:
                e = (s[H], max(t[ir], s[n]) if self.entryrow else s[r])
            t[SY] = (s[uh], t[u], e)
            add('/sync answered: %s' % ('entry rev %d' % e[1] if e else 'nothing'), True, t)
        elif s[SY]:
            t = list(s); t[SY] = None
            self.apply_sync(t, s[SY])
            add('device applies /sync', True, t)
        if s[CH] is None:
            if s[HI] and (s[HELD] or s[CONT] or s[R] < s[HEARD]):
                since = s[HELD][0] if s[HELD] else s[R]
                t = list(s)
                if s[DH] != s[H] and 'history' not in M or since > s[r]:
                    t[CH] = (s[DH], since, None, 0, False)
                elif self.split_read:
                    t[CH] = ('note', since, s[r])
                else:
                    t[CH] = (s[DH], since) + self.changes(s[H], since, s[r], s[r])
                add('changes since %d %s' % (since, 'begins to read' if t[CH][0] == 'note' else 'answered'), True, t)
        elif s[CH][0] == 'note':
            _, since, v = s[CH]
            a, b = (v, s[r]) if 'latenote' in M else (s[r], v)
            t = list(s); t[CH] = (s[DH], since) + self.changes(s[H], since, a, b)
            add('changes since %d answered, rows of rev %d, declared %d' % (since, a, t[CH][3]), True, t)
        else:
            t = list(s); t[CH] = None
            self.apply_changes(t, s[CH])
            add('device applies changes', True, t)
        if s[PG] is None:
            if s[WANT]:
                t = list(s)
                if s[WANT] in 'BA' and not s[HI]:
                    t[WANT] = 'L'
                if self.split_read:
                    t[PG] = ('note', s[r])
                else:
                    t[PG] = self.page(t, s[r], s[r])
                add('page %s %s at rev %d' % (t[WANT], 'begun' if self.split_read else 'answered', s[r]), True, t)
        elif s[PG][0] == 'note':
            v = s[PG][1]
            a, b = (v, s[r]) if 'latenote' in M else (s[r], v)
            t = list(s)
            if 'latenote' in M:
                pg = list(self.page(t, v, v)); pg[2] = s[r]; t[PG] = tuple(pg)
            else:
                t[PG] = self.page(t, a, b)
            add('page answered, rows of rev %d, declared %d' % (a, b), True, t)
        else:
            t = list(s); t[PG] = None
            self.apply_page(t, s[PG])
            add('device applies page', True, t)
        return out

    @staticmethod
    def frame(f):
        return {'e': 'event %s', 'i': 'inbox_updated %s', 'o': 'inbox_updated of another%.0s', 'q': 'sync_required%.0s'}[f[0]] % (f[2] if len(f) > 2 else 0)

    # ---------------------------------------------------------------- what must hold
    def check(self, s):
        if not s[HI]:
            return None
        T = self.T[s[DH]]
        if s[R] >= len(T):
            return 'mixture: claims a rev its history does not have'
        at = T[s[R]]
        for i in range(s[LO] - 1, s[HI]):
            x = s[ROWS][i]
            if not x:
                return 'hole: seq %d missing inside the interval' % (i + 1)
            if x not in self.VALID[s[DH]][i]:
                return 'ghost: seq %d holds an image of another history' % (i + 1)
            if i < len(at) and x % 100 < at[i] % 100:
                return 'stale: seq %d at rev %d, claimed rev %d' % (i + 1, x % 100, s[R])
        if s[TAIL] and not s[CONT] and s[HI] < len(at):
            return 'hole: claims rev %d, newest message missing' % s[R]
        return None

    def check_step(self, s, t):
        if s[DH] != t[DH] or not s[HI] or not t[HI]:
            return None
        if t[R] < s[R]:
            return 'own rev goes back'
        if s[ROWS] is not t[ROWS]:
            for i in range(max(s[LO], t[LO]) - 1, min(s[HI], t[HI])):
                if s[ROWS][i] and t[ROWS][i] % 100 < s[ROWS][i] % 100:
                    return 'back: seq %d shown older than before' % (i + 1)
        return None

    def good(self, s):
        if s[DH] != s[H]:
            return 'stuck: device in another history'
        if s[HEARD] != s[r]:
            return 'stuck: chat list at rev %d, server at %d' % (s[HEARD], s[r])
        if not s[HI]:
            return None if self.start != 'loaded' else 'stuck: conversation not loaded again'
        if s[R] != s[r]:
            return 'stuck: device at rev %d, server at %d' % (s[R], s[r])
        at = self.T[s[H]][s[r]]
        if s[ROWS][s[LO] - 1:s[HI]] != at[s[LO] - 1:s[HI]] or (s[TAIL] and s[HI] != len(at)):
            return 'stuck: rows differ for good'
        return None

    # ---------------------------------------------------------------- search
    def search(self, cap=2_000_000):
        s0 = self.initial()
        ids, states, parent, quiet = {s0: 0}, [s0], [None], []
        i = edges = 0
        while i < len(states):
            s = states[i]
            qs = []
            for label, qt, t in self.steps(s):
                edges += 1
                j = ids.get(t)
                if j is None:
                    j = ids[t] = len(states)
                    states.append(t)
                    parent.append((i, label))
                    bad = self.check(t)
                    if bad:
                        return bad, self.trace(parent, j), len(states), edges
                bad = self.check_step(s, t)
                if bad:
                    return bad, self.trace(parent, i) + [label], len(states), edges
                if qt:
                    qs.append(j)
            if not qs:
                bad = self.good(s)
                if bad:
                    return bad, self.trace(parent, i), len(states), edges
            quiet.append(qs)
            i += 1
            if i > cap:
                return 'too many states', [], len(states), edges
        # every quiet run ends: the quiet steps form no cycle
        indeg = [0] * len(states)
        for qs in quiet:
            for j in qs:
                indeg[j] += 1
        todo = [i for i in range(len(states)) if not indeg[i]]
        seen = 0
        while todo:
            i = todo.pop(); seen += 1
            for j in quiet[i]:
                indeg[j] -= 1
                if not indeg[j]:
                    todo.append(j)
        if seen < len(states):
            i = next(i for i in range(len(states)) if indeg[i])
            return 'livelock: reactions never end', self.trace(parent, i), len(states), edges
        return None, [], len(states), edges

    @staticmethod
    def trace(parent, i):
        out = []
        while parent[i]:
            i, l = parent[i]
            out.append(l)
        return out[::-1]


CONFIGS = {
    # name: what it stresses
    'base':    dict(line='ss1s', init=2, cuts=2, crash=1),
    'over':    dict(line='ss1s', init=2, cuts=1, over=1, other=1),
    'twice':   dict(line='ss11', init=2, cuts=1, crash=1, over=1),
    'split':   dict(line='ss1', init=1, cuts=1, crash=1, split_dispatch=True),
    'applied': dict(line='ss1', init=1, cuts=1, crash=1, over=1, entryrow=True),
    'fresh':   dict(line='ss1', init=1, cuts=1, crash=1, start='fresh', loads='L', size=2),
    'listed':  dict(line='ss1s', init=2, cuts=1, over=1, start='listed', loads='L', size=2),
    'older':   dict(line='sss23', init=3, cuts=1, over=1, loads='B', size=1),
    'olderlim': dict(line='sss12s', init=3, cuts=1, loads='B', size=1, limit=1),
    'around':  dict(line='sss2', init=2, cuts=1, over=1, start='listed', loads='FAA', size=1, limit=1),
    'pages':   dict(line='s1ss2', init=1, cuts=1, over=1, limit=1),
    'reads':   dict(line='ss1s', init=2, cuts=1, start='listed', loads='LB', size=1, split_read=True, limit=1),
    'large':   dict(line='Gs1s', init=2, cuts=2, crash=1, over=1),
    'flip':    dict(line='sLsl', init=1, cuts=2, crash=1),
    'restore': dict(line='sss1', init=2, k=2, line1='s1', rest=1, cuts=1),
    'restload': dict(line='sss', init=2, k=2, line1='1s', rest=1, cuts=1, start='listed', loads='LB', size=1),
    'repair':  dict(line='sss', init=2, k=2, line1='s1', rest=1, cuts=1, restore='touch'),
    'live':    dict(line='sss', init=2, k=2, line1='s1', rest=1, cuts=1, restore='live', nodes=2),
    'hold':    dict(line='sss1', init=2, k=2, line1='s1', rest=1, cuts=1, evhist=False, holdsync=True),
    'nodes':   dict(line='ss1', init=1, cuts=1, crash=1, nodes=2),
    'nodes+':  dict(line='ss1', init=1, cuts=1, crash=1, nodes=2, loss=2, heartbeat=True),
    'nodesbig': dict(line='Gs1', init=2, cuts=1, crash=1, nodes=2, loss=1, heartbeat=True, bushb=True),
}
# the wording of today where it is looser than the configurations above: each must be refuted
WRITTEN = {
    'events without history':                     dict(CONFIGS['restore'], evhist=False),
    'cursor reset forgets what was heard since':  dict(CONFIGS['restload'], resetall=True),
    'repair does not touch inbox rows':           dict(CONFIGS['repair'], restore='conv'),
    'no reaction to user_rev of the heartbeat':   dict(CONFIGS['nodes+'], heartbeat=False),
    'large group, bus loses the last message':    dict(CONFIGS['nodesbig'], bushb=False),
}
MUTANTS = {
    # name: (what is broken, configurations)
    'hello':     ('hello before registration in the hub', 'base large'),
    'noinbox':   ('no inbox_updated after the inbox commit', 'split nodes'),
    'nopending': ('/sync without pending entries', 'base split applied'),
    'neither':   ('both of these', 'base'),
    'pageold':   ('page shown without changes since page.rev', 'older'),
    'once':      ('... asked once, not until caught up', 'older'),
    'pagerev':   ('a newer page raises the own rev', 'older'),
    'merge':     ('rows merged without comparing rev', 'twice'),
    'jump':      ('events applied on a jump', 'over'),
    'latenote':  ('a read declares a rev noted after its rows', 'reads'),
    'cut':       ('changes cut, rev not lowered', 'pages'),
    'more':      ('more=true not followed at once', 'pages'),
    'showall':   ('rows above a gap shown while more', 'pages'),
    'cursor':    ('dispatch cursor lost at a crash', 'base'),
    'cursorhub': ('cursor saved before the inbox commit', 'base'),
    'history':   ('history ignored', 'restore'),
    'keepreq':   ('answers asked before a drop are used', 'restload'),
    'nosyncreq': ('no sync_required after a drop', 'over large'),
    'coalesce':  ('sync_required swallowed by a running /sync', 'large'),
    'curevents': ('cursor advanced by events', 'over'),
    'forget':    ('revs heard before the first page forgotten', 'listed'),
    'flipold':   ('the end of `large` dispatched as large', 'flip'),
}
SURVIVE = {'nopending': 'redundant here: inbox_updated after the inbox commit heals it'}


def run(name, cfg, mutants=(), want_bad=False, trace=False):
    t = time.time()
    bad, tr, ns, es = Model(cfg, mutants).search()
    ok = bool(bad) == want_bad
    print('%-3s %-44s %8d states %9d steps %5.1fs  %s' % ('ok' if ok else '!!', name, ns, es, time.time() - t, bad or 'holds'), flush=True)
    if bad and (trace or not ok):
        for l in tr:
            print('        ' + l)
    return ok


def main(a):
    trace = '--trace' in a
    a = [x for x in a if x != '--trace']
    if '--list' in a:
        print('configurations:', *CONFIGS)
        print('mutants:', *MUTANTS)
        return 0
    good = True
    only = [a[a.index('--mutant') + 1]] if '--mutant' in a else []
    names = [x for x in a if x in CONFIGS]
    t = time.time()
    if not only and '--mutants' not in a:
        for x in names or CONFIGS:
            good &= run(x, CONFIGS[x], trace=trace)
        if not names:
            for x in WRITTEN:
                good &= run('as written: ' + x, WRITTEN[x], (), True, trace)
    if not names:
        for m in only or MUTANTS:
            what, where = MUTANTS[m]
            for c in where.split():
                ms = ('noinbox', 'nopending') if m == 'neither' else (m,)
                good &= run('%s in %s' % (m, c), CONFIGS[c], ms, m not in SURVIVE, trace)
    print('%s, %.0f s' % ('all as expected' if good else 'NOT as expected', time.time() - t))
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
