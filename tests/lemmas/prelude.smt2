; SPDX-License-Identifier: BSD-2-Clause
; The formulas of rewrite/seq.h and core/twopath.c over 32-bit numbers, under their names there
; (samples.c checks that they are the same). A lemma says what must hold for all numbers; z3
; looks for numbers for which it does not.
(define-sort Num () (_ BitVec 32))
(define-fun after ((a Num) (b Num)) Bool (bvsgt (bvsub a b) #x00000000))
(define-fun seq_min ((a Num) (b Num)) Num (ite (after a b) b a))
(define-fun seq_max ((a Num) (b Num)) Num (ite (after a b) a b))

; is_old() and ack_is_old(), neither cut far behind, the peer's known; path: true is the old one
(define-fun is_old ((cut Num) (n Num)) Bool (after cut n))
(define-fun ack_is_old ((p Num) (ack Num)) Bool (not (after ack p)))
(define-fun ack_on ((p Num) (old Bool) (ack Num)) Num (ite (= (ack_is_old p ack) old) ack p))
(define-fun ack_counts ((cut Num) (old Bool) (ack Num)) Bool
  (ite old (not (after ack cut)) (after ack cut)))
; merge_ack(): the highest acknowledgement after one of this path
(define-fun merged_ack ((cut Num) (acked Num) (old Bool) (ack Num)) Num
  (ite (and (ack_counts cut old ack) (not (after acked ack))) ack acked))
; put(): the right edge of a part
(define-fun part_edge ((host_edge Num) (ack Num)) Num (seq_max host_edge ack))
; route_bytes(): how much of a segment is old
(define-fun old_bytes ((cut Num) (seq Num)) Num (ite (is_old cut seq) (bvsub cut seq) #x00000000))
; clip_sack(): one edge of a block each
(define-fun clip_to ((p Num) (to Num)) Num (seq_min to p))
(define-fun clip_from ((p Num) (from Num)) Num (seq_max from p))
; merge_timestamp()
(define-fun merged_tsval ((highest Num) (tsval Num)) Num
  (ite (bvslt (bvsub tsval highest) #x00000000) highest tsval))

; Numbers of one session lie within a window of each other: a is at most 2^30 from b.
(define-fun near ((a Num) (b Num)) Bool
  (and (bvsle (bvsub a b) #x40000000) (bvsge (bvsub a b) #xc0000000)))
; n is in [from, to)
(define-fun within ((n Num) (from Num) (to Num)) Bool (and (not (after from n)) (after to n)))
