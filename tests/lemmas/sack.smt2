; A number of a block is in the old path's part of it, or the new one's, and in no other.
; BROKEN: s/(clip_from p from)/from/
(declare-const p Num) (declare-const from Num) (declare-const to Num) (declare-const n Num)
(assert (and (near from p) (near to p) (near n p) (near n from) (near n to) (near to from)
             (after to from)))
(define-fun in_old () Bool (within n from (clip_to p to)))
(define-fun in_new () Bool (within n (clip_from p from) to))
(assert (not (and (= in_old (and (within n from to) (after p n)))
                  (= in_new (and (within n from to) (not (after p n)))))))
