; What dysco_two_floor() leaves of a segment that straddles begins at the floor and ends where it did;
; what it answers ends at the floor or before.
; BROKEN: s/(bvule length below)/(bvule length (bvadd below #x00000001))/
(declare-const floor Num) (declare-const seq Num) (declare-const length Num)
(assert (and (near seq floor) (after floor seq) (bvult length #x3fffffff)))
(define-fun below () Num (bvsub floor seq))
(define-fun answered () Bool (bvule length below))
(define-fun end () Num (bvadd seq length))
(assert (not (ite answered
                  (not (after end floor))
                  (and (= (bvadd seq below) floor) (after end floor)
                       (= (bvadd floor (bvsub length below)) end)))))
